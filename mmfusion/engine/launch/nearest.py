"""The names that a misspelt one may have meant."""

import difflib
from collections.abc import Iterable


def nearest(name: str, choices: Iterable[str]) -> str:
    """The choices that look like ``name``, as the end of a message; '' if none."""
    close = difflib.get_close_matches(name, sorted(choices), n=3, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else ""
