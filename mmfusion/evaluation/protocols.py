"""Contracts of the metrics: what a runner does with them beside MMEngine's methods."""

from typing import Any, Protocol, runtime_checkable


class AskedDataset(Protocol):
    """Dataset whose clips have questions, as the leak meter reads it.

    Attributes:
        data_root: folder of the files of questions.
        metainfo: with ``question_source``.
    """

    data_root: str

    @property
    def metainfo(self) -> dict:
        """Metainfo of the annotation and of the questions."""

    def __len__(self) -> int:
        """The number of clips."""

    def get_record(self, index: int) -> dict:
        """A record of the annotation, its questions in ``text``."""

    def with_questions(self, split: str, questions: str) -> "AskedDataset":
        """The clips of another split, with the questions of another file."""


@runtime_checkable
class ReadsDataset(Protocol):
    """Metric that needs the dataset itself, such as the texts of its questions."""

    def set_dataset(self, dataset: Any) -> None:
        """Take the dataset that is evaluated, before the first batch."""
