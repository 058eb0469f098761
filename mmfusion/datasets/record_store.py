"""Records of a large split, kept so that worker processes share one copy."""

import hashlib
import json
from collections.abc import Iterable, Mapping

import numpy as np


class RecordStore:
    """A list of plain records in one buffer of bytes.

    A list of Python objects is copied into each worker bit by bit, because reading an
    object writes its reference count; one array is not. A record is parsed anew each
    time, so a transform may change what it gets.

    Args:
        records: plain values only, as JSON knows them.
    """

    def __init__(self, records: Iterable[Mapping]) -> None:
        texts = [json.dumps(record).encode() for record in records]
        self._bytes = np.frombuffer(b"".join(texts), dtype=np.uint8)
        self._ends = np.cumsum([len(text) for text in texts], dtype=np.int64)

    def digest(self, more: bytes = b"") -> str:
        """Sha256, in hex digits, of all records in their order, and of ``more``."""
        found = hashlib.sha256(self._bytes.tobytes())
        found.update(self._ends.tobytes())
        found.update(more)
        return found.hexdigest()

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> dict:
        if not 0 <= index < len(self):
            raise IndexError(f"index is {index}; expected 0..{len(self) - 1}")
        start = self._ends[index - 1] if index else 0
        return json.loads(self._bytes[start : self._ends[index]].tobytes())
