"""Says what an anticipation run looks at, before each epoch and each test."""

from typing import Any

from mmengine.hooks import Hook

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.transforms import SampleObservedFrames
from mmfusion.registry import HOOKS


@HOOKS.register_module()
class ObservedWindowHook(Hook):
    """Logs tau_a, tau_o and the number of padded clips; nothing for other pipelines.

    A window that reaches into the action is a warning.
    """

    priority = "NORMAL"

    def __init__(self) -> None:
        self._lines: dict[str, list[tuple[bool, str]]] = {}

    def _before_epoch(self, runner: Any, mode: str = "train") -> None:
        """Say it of the data of a phase, ``mode``."""
        if mode not in self._lines:  # counted once: 67,217 records take a second
            loader = getattr(runner, f"{mode}_dataloader")
            self._lines[mode] = _describe(loader.dataset)
        for honest, line in self._lines[mode]:
            log = runner.logger.info if honest else runner.logger.warning
            log(f"{mode}: {line}")


def _describe(dataset: Any) -> list[tuple[bool, str]]:
    """Gap left (bool) and a line of the log, for each sampler of observed frames."""
    found: list[tuple[bool, str]] = []
    if not isinstance(dataset, MultiModalDataset):
        return found
    for transform in dataset.pipeline:
        if isinstance(transform, SampleObservedFrames):
            records = (dataset.get_record(index) for index in range(len(dataset)))
            honest = not transform.sampling and transform.tau_a >= 0
            found.append((honest, transform.describe(records)))
    return found
