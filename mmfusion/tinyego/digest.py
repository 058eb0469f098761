"""Digests of what a stream is given: equal bytes, equal digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def digest(chunks: Iterable[bytes]) -> str:
    """SHA-256 of chunks in their order, each with its length."""
    total = hashlib.sha256()
    for chunk in chunks:
        total.update(len(chunk).to_bytes(8, "little"))
        total.update(chunk)
    return total.hexdigest()
