"""Contracts of the engine: what it asks of hooks, samplers and the data.

All are optional. A hook or a dataset of yours needs no base class, only the methods
that stand here; the engine asks by ``isinstance``.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class StatefulHook(Protocol):
    """Hook with a state that belongs to the run: every checkpoint holds it."""

    def state_dict(self) -> dict[str, Any]:
        """State in tensors and plain values; every rank calls it."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what ``state_dict`` gave."""


@runtime_checkable
class SavePointHook(Protocol):
    """Hook that acts where the state of a run is complete; the loop calls it."""

    def on_save_point(self, runner: Any, kind: str) -> None:
        """Save, or raise TrainingStopped to leave.

        Args:
            runner: the runner.
            kind: ``'iter'`` after a step that updated the weights, ``'epoch'`` after an
                epoch with its hooks, ``'val'`` after a validation.
        """


@runtime_checkable
class StopHook(Protocol):
    """Hook that saves a run which another one has ended; the loop calls it."""

    def on_stop(self, runner: Any) -> None:
        """Save; the loop stays where it stands."""


@runtime_checkable
class DescribesData(Protocol):
    """Dataset that says what is in it.

    Attributes:
        metainfo: of the annotation; ``classes`` gives the names of a task in the order
            of its labels.
    """

    metainfo: Mapping[str, Any]


@runtime_checkable
class HidesLabels(Protocol):
    """Dataset whose labels may be hidden, as H2O's test split.

    Attributes:
        has_labels: False if no sample has a label; nothing is scored then.
    """

    has_labels: bool


@runtime_checkable
class NamesFiles(Protocol):
    """Dataset that says from which files a sample is read."""

    def files_of(self, sample_id: str) -> dict[str, str]:
        """Path by stream; empty for an id that it does not have."""


@runtime_checkable
class KnowsContent(Protocol):
    """Dataset that can tell whether its samples are those of another start."""

    def digest(self) -> str:
        """Text that changes with the content or the order of what lists its samples."""


@runtime_checkable
class FollowsEpochs(Protocol):
    """Sampler whose order depends on the epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Take the order of an epoch, from 0."""


@runtime_checkable
class StartsAnywhere(Protocol):
    """Sampler that can begin within an epoch, without reading what comes before."""

    def set_start(self, num_samples: int) -> None:
        """Leave out the first samples of this rank, in this epoch only."""
