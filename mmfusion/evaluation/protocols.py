"""Contracts of the metrics: what a runner does with them beside MMEngine's methods."""

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class ReadsDataset(Protocol):
    """Metric that needs the dataset itself, such as the texts of its questions."""

    def set_dataset(self, dataset: Any) -> None:
        """Take the dataset that is evaluated, before the first batch."""
