"""Passwords, tokens and keys kept out of messages, logs, configs and checkpoints."""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_URL = re.compile(
    r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)(?:(?P<user>[^\s/?#'\"<>]*)@)?"
    r"(?P<path>[^\s?#'\"<>]*)(?:\?(?P<query>[^\s#'\"<>]*))?"
)
_PIECE = 8  # characters of a key that are not shown in a row

_whole: dict[str, str] = {}


def hide_in_urls(text: str) -> str:
    """``text`` with the user, the password and the query of every URL in it hidden.

    Signed addresses (S3, CDNs) have their signature in the query; a ``#sha256=...``
    stays.
    """

    def hide(match: re.Match[str]) -> str:
        user = "" if match["user"] is None else f"{HIDDEN}@"
        query = f"?{HIDDEN}" if match["query"] else ""
        return f"{match['scheme']}{user}{match['path']}{query}"

    return _URL.sub(hide, text) if "://" in text else text


def hide_checkpoints(config: Any) -> None:
    """Hide the secrets of the checkpoints' URLs in a config, at every depth.

    Whatever writes the config down then writes none. This process still opens them:
    :func:`whole_url` has the address.
    """
    if isinstance(config, Mapping):
        for key in config:
            value = config[key]
            if isinstance(value, str) and key in ("checkpoint", "load_from"):
                config[key] = hide_in_urls(value)  # type: ignore[index]
                _whole.setdefault(config[key], value)
            else:
                hide_checkpoints(value)
    elif isinstance(config, list | tuple):
        for item in config:
            hide_checkpoints(item)


def whole_url(url: str) -> str:
    """The address that :func:`hide_checkpoints` has hidden; any other is as it was."""
    return _whole.get(url, url)


class KeyMask:
    """Hides one key in texts, as it is and as servers and proxies change it.

    Found are the key in URL encoding, JSON, hexadecimal, base64 (of the key or of a
    longer text with it) and backwards, in capitals or not, and every piece of eight or
    more characters of any of them.

    Args:
        key: the key.
    """

    def __init__(self, key: str) -> None:
        self._forms = sorted(_forms(key), key=len, reverse=True)
        self._pieces = {
            form[start : start + _PIECE]
            for form in self._forms
            for start in range(len(form) - _PIECE + 1)
        }

    def __call__(self, text: str) -> str:
        """``text`` with ``[key]`` in place of the key and its pieces."""
        low = text.lower()
        if len(low) != len(text):  # a few letters have two small ones
            low = text
        hidden = bytearray(len(text))
        for form in self._forms:
            start = low.find(form)
            while start >= 0:
                hidden[start : start + len(form)] = b"\1" * len(form)
                start = low.find(form, start + 1)
        for start in range(len(low) - _PIECE + 1):
            if low[start : start + _PIECE] in self._pieces:
                hidden[start : start + _PIECE] = b"\1" * _PIECE
        shown = "".join("\0" if h else c for h, c in zip(hidden, text, strict=True))
        return re.sub("\0+", "[key]", shown)


def _forms(key: str) -> set[str]:
    raw = key.encode()
    forms = {key, quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1]}
    forms |= {key[::-1], raw.hex()}
    for before in range(3):  # bytes before it within a group of base64
        coded = base64.b64encode(bytes(before) + raw).rstrip(b"=").decode()
        # characters at the ends mix its bits with those of its neighbours
        inner = coded[(0, 2, 3)[before] : None if (before + len(raw)) % 3 == 0 else -1]
        forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {form.lower() for form in forms if form}
