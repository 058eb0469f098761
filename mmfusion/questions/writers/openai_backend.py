"""Any server that speaks OpenAI's chat protocol, by the official client.

The key comes from the environment, goes to the client and nowhere else: whatever a
server says is searched for it before it is kept or shown.
"""

import json
from typing import Any
from urllib.parse import urlsplit

from mmfusion.questions.writers.base import Answer, NoAnswerError, WriterDownError
from mmfusion.questions.writers.pacing import Pacer
from mmfusion.questions.writers.prompted import Message
from mmfusion.utils.errors import InputError
from mmfusion.utils.optional import import_optional
from mmfusion.utils.secrets import KeyMask

RESPONSE_FORMATS = ("json_schema", "json_object", "text")
_NO_KEY = "no-key-is-needed"
_FOR_ALL = frozenset({401, 403, 404, 405})
_LONGEST_WAIT = 120.0  # seconds: the client does not repeat a request after more
_MAX_ERROR_CHARS = 300


class OpenAIBackend:
    """Chat completions with time-outs, repetitions, and a rate that is kept.

    Args:
        model: name at the server.
        key: the key, from the environment; None for a server of one's own that asks
            for none.
        key_name: the variable it comes from, for the error.
        base_url: address, as ``"http://localhost:8000/v1"``; OpenAI's if None.
        timeout: seconds to connect, and between two parts of an answer.
        retries: repetitions of a request that failed in passing.
        pacer: rate and waits.
        max_tokens: of an answer; 0 leaves it to the server.
        temperature: None leaves it to the server.
        response_format: one of ``RESPONSE_FORMATS``.

    Raises:
        ValueError: a key is missing, or an argument is out of range.
        ImportError: the client is not installed.
    """

    kind = "openai"

    def __init__(
        self,
        model: str,
        *,
        key: str | None,
        key_name: str = "OPENAI_API_KEY",
        base_url: str | None = None,
        timeout: float = 60.0,
        retries: int = 6,
        pacer: Pacer | None = None,
        max_tokens: int = 400,
        temperature: float | None = None,
        response_format: str = "json_schema",
    ) -> None:
        if response_format not in RESPONSE_FORMATS:
            raise InputError(
                f"response_format is {response_format!r}; expected one of "
                f"{RESPONSE_FORMATS}"
            )
        if not timeout > 0 or retries < 0 or max_tokens < 0:
            raise InputError(
                f"timeout is {timeout}, retries {retries}, max_tokens {max_tokens}; "
                "expected timeout above 0, the others 0 or more"
            )
        self.model = model
        self.settings = f"temperature={temperature} max_tokens={max_tokens}"
        self._key = _checked_key(key, key_name, base_url)
        self._mask = None if self._key is None else KeyMask(self._key)
        self._module = import_optional("openai", "questions by --writer openai")
        self._pacer = pacer or Pacer()
        hooks: dict[str, Any] = {
            "request": [lambda request: self._pacer.wait_for_turn()],
            "response": [self._look_at],
        }
        self._client = self._module.OpenAI(
            api_key=self._key or _NO_KEY,
            base_url=base_url,
            timeout=timeout,
            max_retries=retries,
            http_client=self._module.DefaultHttpxClient(event_hooks=hooks),
        )
        self._format = response_format
        self._options: dict[str, Any] = {}
        if temperature is not None:
            self._options["temperature"] = temperature
        if max_tokens:
            # OpenAI has renamed it, others know the old name
            name = "max_completion_tokens" if base_url is None else "max_tokens"
            self._options[name] = max_tokens

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._pacer.stop()

    def complete(
        self, messages: list[Message], schema: dict[str, Any] | None, attempt: int
    ) -> Answer:
        """Answer messages; see :class:`ChatModel`."""
        options = dict(self._options)
        if schema is not None and self._format != "text":
            options["response_format"] = _response_format(self._format, schema)
        try:
            response = self._client.chat.completions.create(
                model=self.model, messages=messages, **options
            )
        except self._module.OpenAIError as error:
            raise self._failure(error) from None
        return self._answer(response)

    def _look_at(self, response: Any) -> None:
        """Look at each response before the client does, which repeats the request.

        A pause is kept by all threads and ends with a stop, unlike the client's own.
        """
        wait = _asked_to_wait(response)
        if 0 < wait <= _LONGEST_WAIT:
            del response.headers["retry-after"]
            self._pacer.pause_all(wait)
        if response.is_success and not _is_completion(response.read()):
            raise import_optional("httpx2", "openai's clients").RemoteProtocolError(
                f"an answer of another protocol: {response.text!r}"
            )

    def _failure(self, error: Exception) -> Exception:
        """The error to raise for one of the client, after its repetitions."""
        problem = self._clean(_describe(error))[:_MAX_ERROR_CHARS]
        status = getattr(error, "status_code", None)
        if status in _FOR_ALL or getattr(error, "code", None) == "insufficient_quota":
            return WriterDownError(
                f"the server refuses every request: {problem}. Check the key's "
                "variable, --base-url and --model; what was answered is kept"
            )
        wait = _asked_to_wait(getattr(error, "response", None))
        if wait > _LONGEST_WAIT:
            return WriterDownError(
                f"the server asks to wait {wait:.0f} seconds ({problem}); run the same "
                "command then, what was answered is kept"
            )
        return NoAnswerError(f"no answer, repeated as --retries says: {problem}")

    def _answer(self, response: Any) -> Answer:
        """The answer in a completion."""
        choice, usage = response.choices[0], getattr(response, "usage", None)
        text = getattr(choice.message, "content", None)
        refusal = getattr(choice.message, "refusal", None)
        fault = None
        if refusal:
            fault = f"the model refused: {refusal}"
        elif getattr(choice, "finish_reason", None) == "content_filter":
            fault = "refused by the server's content filter"
        elif getattr(choice, "finish_reason", None) == "length":
            fault = "cut off at the limit of tokens; be brief"
        elif not isinstance(text, str) or not text.strip():
            fault = "it is empty"
        return Answer(
            self._clean(text if isinstance(text, str) else ""),
            _count(usage, "prompt_tokens"),
            _count(usage, "completion_tokens"),
            None if fault is None else self._clean(fault),
        )

    def _clean(self, text: str) -> str:
        """``text`` without the key, should a server or a proxy repeat or change it."""
        return text if self._mask is None else self._mask(text)


def _checked_key(key: str | None, name: str, base_url: str | None) -> str | None:
    if base_url is not None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"base_url is {base_url.rpartition('@')[2]!r}; expected an address as "
                "http://localhost:8000/v1"
            )
        if parts.username or parts.password:
            raise InputError(
                "base_url holds a user name or password, which would be logged; put "
                f"the key into the environment variable {name}"
            )
    if not key and base_url is None:
        raise InputError(
            f"the environment variable {name} is not set; the key is read from the "
            f"environment only: export {name}=..."
        )
    if key and (not key.isascii() or not key.isprintable() or key != key.strip()):
        raise InputError(f"the key in {name} has characters that no key has")
    return key or None


def _asked_to_wait(response: Any) -> float:
    """Seconds in ``Retry-After``; 0 without it. A date there is the client's affair."""
    text = "" if response is None else response.headers.get("retry-after", "")
    return float(text) if text.replace(".", "", 1).isdecimal() else 0.0


def _is_completion(body: bytes) -> bool:
    try:
        message = json.loads(body)["choices"][0]["message"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return False
    return isinstance(message, dict)


def _response_format(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    if kind == "json_object":
        return {"type": "json_object"}
    content = {"name": "questions", "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": content}


def _describe(error: Exception) -> str:
    cause = f" ({error.__cause__})" if error.__cause__ is not None else ""
    return " ".join(f"{type(error).__name__}: {error}{cause}".split())


def _count(usage: Any, name: str) -> int:
    number = getattr(usage, name, 0)
    return number if isinstance(number, int) and number >= 0 else 0
