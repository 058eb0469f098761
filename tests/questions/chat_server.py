"""A server that speaks OpenAI's chat protocol, and misbehaves at will."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# what may go wrong with an answer that arrives
SPOILED = {
    "broken json": '{"verb_question": "What is',
    "no keys": '{"question": "What?"}',
    "empty": " ",
    "talk": "Sure! Here are two questions for you.",
}
GERMAN = "Was macht die Person gerade mit dem <mask> auf dem Tisch in der Küche?"
Fault = Callable[[str, int], str | None]


def good_answer(prompt: str) -> dict[str, str]:
    """Two questions about the verb and noun that the prompt names."""
    verb, noun = asked_for(prompt)
    return {
        "verb_question": f"What does the person do with the {noun} on the far side?",
        "verb_answer": verb,
        "noun_question": f"Which object does the person {verb} at this moment?",
        "noun_answer": noun,
    }


def asked_for(prompt: str) -> tuple[str, str]:
    """Verb and noun in a prompt."""
    verb, noun = (re.search(rf"^{k}: (.*)$", prompt, re.M) for k in ("verb", "noun"))
    assert verb is not None
    assert noun is not None
    return verb.group(1), noun.group(1)


class ChatServer:
    """Requests that it got, and its way to answer.

    Args:
        fault: names what goes wrong for a prompt at its n-th request (0, 1, ...).
    """

    def __init__(self, fault: Fault = lambda prompt, n: None) -> None:
        self.fault = fault
        self.retry_after = "0.3"
        self.requests: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()  # whole and usable answers
        self.times: list[float] = []
        self.keys: set[str] = set()
        self.bodies: list[dict[str, Any]] = []
        self.closed = threading.Event()
        self.lock = threading.Lock()
        self.address = ""

    @contextmanager
    def running(self) -> Iterator["ChatServer"]:
        """Serve on a free port until the end of the block."""
        owner = self

        class Handler(_Handler):
            server_state = owner

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.address = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self.closed.set()
            server.shutdown()
            thread.join()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_state: ChatServer

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def do_POST(self) -> None:
        state = self.server_state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][0]["content"]
        with state.lock:
            number = state.requests[prompt]
            state.requests[prompt] += 1
            state.times.append(time.monotonic())
            state.keys.add(self.headers["Authorization"].removeprefix("Bearer "))
            state.bodies.append(body)
        fault = state.fault(prompt, number)
        if fault is None or fault == "slow":
            state.closed.wait(0.05 if fault else 0.0)
            with state.lock:
                state.answered[prompt] += 1
        try:
            self._reply(prompt, fault)
        except (BrokenPipeError, ConnectionResetError):
            return

    def _reply(self, prompt: str, fault: str | None) -> None:
        key = self.headers["Authorization"]
        if fault == "timeout" or fault == "hang":
            self.server_state.closed.wait(1.0 if fault == "timeout" else None)
        elif fault == "cut":
            self._send(200, self._completion(prompt), promise=10_000)
        elif fault == "broken body":
            self._send(200, b'{"id": "x", "choices": [')
        elif fault == "other protocol":
            self._send(200, b"<html>It works</html>", kind="text/html")
        elif fault is not None and fault.isdecimal():
            error = {
                "error": {"message": f"code {fault}, you sent {key}", "code": None}
            }
            self._send(int(fault), json.dumps(error).encode())
        else:
            self._send(200, self._completion(prompt, fault))

    def _completion(self, prompt: str, fault: str | None = None) -> bytes:
        message = {"role": "assistant", "content": self._content(prompt, fault)}
        reason = "length" if fault == "cut short" else "stop"
        if fault == "refusal":
            message |= {"content": None, "refusal": "I cannot help with that."}
        answer = {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "test",
            "choices": [{"index": 0, "finish_reason": reason, "message": message}],
            "usage": {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
            },
        }
        return json.dumps(answer).encode()

    def _content(self, prompt: str, fault: str | None) -> str:
        if fault == "echo":
            return f"{self.headers['Authorization']} and what else?"
        if "verb_question" not in prompt:
            told = "The person handles something with both hands."
            return GERMAN if fault == "language" else told
        content = good_answer(prompt)
        if fault == "language":
            content["verb_question"] = GERMAN
        elif fault == "leak":
            content["verb_question"] = f"Who likes to {content['verb_answer']} here?"
        elif fault == "wrong answer":
            content["noun_answer"] = "elephant"
        return SPOILED.get(fault or "", f"```json\n{json.dumps(content)}\n```")

    def _send(
        self,
        code: int,
        body: bytes,
        *,
        promise: int = 0,
        kind: str = "application/json",
    ) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(max(len(body), promise)))
        if code == 429:
            self.send_header("Retry-After", self.server_state.retry_after)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = promise > 0
