"""The one rule for hostile content: it is read, or refused by an error that helps.

Every campaign that damages files asks :func:`attempt`; a raw KeyError, TypeError or
struct.error from a file's content breaks the rule, as does a message that does not
say where the fault is.
"""

import resource
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from mmfusion.utils.errors import MMFusionError

T = TypeVar("T")
MAX_MESSAGE = 2000  # characters; more is the content itself, poured out


@dataclass(frozen=True)
class Read(Generic[T]):
    """Value that a reader gave."""

    value: T


@dataclass(frozen=True)
class Refused:
    """The error with which a reader refused."""

    error: MMFusionError

    @property
    def text(self) -> str:
        return str(self.error)


def attempt(
    read: Callable[[], T],
    *names: str | Sequence[str],
    error_type: type[MMFusionError] = MMFusionError,
) -> Read[T] | Refused:
    """Call a reader: what it gives, or the refusal, whose message is checked.

    Args:
        read: reads the damaged content.
        names: what the message must hold, as the name of the file; of several in one
            argument, one is enough: a line or a key.
        error_type: of ours that is expected.

    Raises:
        AssertionError: the message lacks a name, is too long, or tells no words.
        Exception: whatever else the reader raised, which breaks the rule.
    """
    try:
        return Read(read())
    except error_type as error:
        text = str(error)
        assert text.strip(), f"{type(error).__name__} without a message"
        assert len(text) <= MAX_MESSAGE, f"{len(text)} characters: {text[:300]}..."
        for name in names:
            known = [name] if isinstance(name, str) else [*name]
            assert any(one in text for one in known), f"none of {known} in: {text}"
        return Refused(error)


@contextmanager
def bounded_memory(mebibytes: int):
    """Fail where the body makes this process larger than it ever was, by so much."""
    before = _peak()
    yield
    grown = (_peak() - before) / 2**20
    assert grown <= mebibytes, f"memory grew by {grown:.0f} MiB, over {mebibytes}"


def _peak() -> int:
    """Largest size of this process so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
