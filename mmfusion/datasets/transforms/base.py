"""Contracts between a dataset and the transforms of its pipeline."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class RecordFilter(Protocol):
    """A transform that has no use for some records, such as clips without a past.

    The dataset asks it about every record before training begins, and drops and counts
    those that it does not keep.
    """

    def keeps(self, record: Mapping) -> bool:
        """Decide about one record, which has every key of the annotation format."""
