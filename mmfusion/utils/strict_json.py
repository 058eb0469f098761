"""JSON whose objects name each key once: ``json`` itself would keep the last value."""

from typing import Any


class RepeatedKeyError(ValueError):
    """A key stands twice in one object."""


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The ``object_pairs_hook`` for ``json.loads``.

    Raises:
        RepeatedKeyError: names the key.
    """
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RepeatedKeyError(f"the key {twice!r} stands twice in an object")
    return content
