"""Any server that speaks OpenAI's chat protocol, by the official client.

The key comes from the environment, goes to the client and nowhere else: whatever a
server says is searched for it before it is kept or shown.
"""

from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from mmfusion.questions.writers.base import Answer, NoAnswerError, WriterDownError
from mmfusion.questions.writers.pacing import LONGEST_WAIT, Pacer, retry_after
from mmfusion.questions.writers.prompted import Message
from mmfusion.utils.errors import InputError

RESPONSE_FORMATS = ("json_schema", "json_object", "text")
_NO_KEY = "no-key-is-needed"
# the request may succeed later; other codes of 4xx never do
_PASSING = frozenset({408, 409, 425, 429})
_FOR_ALL = frozenset({401, 403, 404, 405})
_MAX_ERROR_CHARS = 300


def _openai() -> ModuleType:
    try:
        import openai
    except ImportError as error:
        raise ImportError(
            "--writer openai needs the official client, which is not installed: "
            "pip install openai==3.54.0"
        ) from error
    return openai


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
        self._module = _openai()
        self._client = self._module.OpenAI(
            api_key=self._key or _NO_KEY,
            base_url=base_url,
            timeout=timeout,
            max_retries=0,  # counted and paced here
        )
        self._retries = retries
        self._pacer = pacer or Pacer()
        self._format = response_format
        self._options: dict[str, Any] = {}
        if temperature is not None:
            self._options["temperature"] = temperature
        if max_tokens:
            # OpenAI has renamed it, others know the old name
            name = "max_completion_tokens" if base_url is None else "max_tokens"
            self._options[name] = max_tokens

    def __repr__(self) -> str:
        return f"OpenAIBackend(model={self.model!r})"

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._pacer.stop()

    def complete(
        self, messages: list[Message], schema: dict[str, Any] | None, attempt: int
    ) -> Answer:
        """Answer messages; see :class:`Backend`."""
        options = dict(self._options)
        if schema is not None and self._format != "text":
            options["response_format"] = _response_format(self._format, schema)
        problem = ""
        for repetition in range(self._retries + 1):
            self._pacer.wait_for_turn()
            try:
                response = self._client.chat.completions.create(
                    model=self.model, messages=messages, **options
                )
                return self._answer(response)
            except (self._module.OpenAIError, ValueError, TypeError) as error:
                problem = self._clean(_describe(error))[:_MAX_ERROR_CHARS]
                self._sort_out(error, problem)
            if repetition < self._retries:
                self._pacer.back_off(repetition)
        raise NoAnswerError(f"{self._retries + 1} requests failed, the last: {problem}")

    def _sort_out(self, error: Exception, problem: str) -> None:
        """Return if the request may be repeated; raise if that is of no use."""
        status = getattr(error, "status_code", None)
        if status is None or status >= 500:
            return
        if status in _FOR_ALL or getattr(error, "code", None) == "insufficient_quota":
            raise WriterDownError(
                f"the server refuses every request: {problem}. Check the key's "
                "variable, --base-url and --model; what was answered is kept"
            ) from None
        if status not in _PASSING:
            raise NoAnswerError(problem) from None
        wait = retry_after(error.response.headers)  # type: ignore[attr-defined]
        if wait is None:
            return
        if wait > LONGEST_WAIT:
            raise WriterDownError(
                f"the server asks to wait {wait:.0f} seconds ({problem}); run the same "
                "command then, what was answered is kept"
            ) from None
        self._pacer.pause_all(wait)

    def _answer(self, response: Any) -> Answer:
        """What a completion says; ValueError if it is none."""
        choices = getattr(response, "choices", None)
        if not choices or getattr(choices[0], "message", None) is None:
            raise InputError(f"an answer of another protocol: {str(response)!r}")
        choice, usage = choices[0], getattr(response, "usage", None)
        text = choice.message.content
        refusal = getattr(choice.message, "refusal", None)
        fault = None
        if refusal:
            fault = f"the model refused: {refusal}"
        elif choice.finish_reason == "content_filter":
            fault = "refused by the server's content filter"
        elif choice.finish_reason == "length":
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
        """``text`` without the key, should a server or a proxy repeat it."""
        return text if self._key is None else text.replace(self._key, "[key]")


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
