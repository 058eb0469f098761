"""A progress bar for people who watch; plain log lines for everyone else."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmfusion.registry import HOOKS


@HOOKS.register_module()
class ProgressHook(Hook):
    """Shows one bar for the run and one for the epoch, when stderr is a terminal.

    The log file stays as it is; of the log only warnings reach the terminal while
    bars are shown. Elsewhere (a file, a batch system) this hook does nothing.

    Args:
        enabled: None decides by the terminal.
    """

    priority = "VERY_LOW"

    def __init__(self, *, enabled: bool | None = None) -> None:
        self.enabled = enabled
        self._bars: Any = None
        self._quiet: list[tuple[logging.Handler, int]] = []
        self._run_task: Any = None
        self._part_task: Any = None
        self._score = ""

    def before_run(self, runner: Any) -> None:
        """Open the bars and keep the log's chatter off the terminal."""
        shown = sys.stderr.isatty() if self.enabled is None else self.enabled
        if not (shown and is_main_process()):
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._bars.start()
        for handler in runner.logger.handlers:
            if type(handler) is logging.StreamHandler:
                self._quiet.append((handler, handler.level))
                handler.setLevel(max(handler.level, logging.WARNING))

    def before_train(self, runner: Any) -> None:
        """The bar of the whole run, from where it continues."""
        if self._bars is not None:
            self._run_task = self._bars.add_task(
                "training", total=runner.max_iters, completed=runner.iter
            )

    def _part(self, title: str, total: int, completed: int = 0) -> None:
        """Start the second bar anew."""
        if self._bars is None:
            return
        if self._part_task is not None:
            self._bars.remove_task(self._part_task)
        self._part_task = self._bars.add_task(title, total=total, completed=completed)

    def before_train_epoch(self, runner: Any) -> None:
        """The bar of one epoch."""
        loop = runner.train_loop
        title = f"epoch {runner.epoch + 1}/{runner.max_epochs}"
        self._part(title, len(loop.dataloader), loop.progress()["batch"])

    def before_val_epoch(self, runner: Any) -> None:
        """The bar of a validation."""
        self._part("validation", len(runner.val_dataloader))

    def before_test_epoch(self, runner: Any) -> None:
        """The bar of a test."""
        self._part("test", len(runner.test_dataloader))

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = "train",
    ) -> None:
        if self._bars is None:
            return
        self._bars.update(self._part_task, advance=1)
        if mode == "train":
            loss = runner.message_hub.get_scalar("train/loss").current()
            text = f"training  loss {loss:.4f}{self._score}"
            self._bars.update(self._run_task, advance=1, description=text)

    def after_val_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        """Keep the first metric beside the loss, and print all."""
        for name, value in list(_numbers(metrics).items())[:1]:
            self._score = f"  {name} {value:.2f}"
            if self._run_task is not None:
                text = f"training{self._score}"
                self._bars.update(self._run_task, description=text)
        self._print(f"epoch {runner.epoch}", metrics)

    def after_test_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        """Print what the test measured."""
        self._print("test", metrics)

    def _print(self, title: str, metrics: dict[str, float] | None) -> None:
        if self._bars is not None:
            values = (f"{name} {x:.2f}" for name, x in _numbers(metrics).items())
            self._bars.console.print(f"{title}: {'  '.join(values)}", highlight=False)

    def after_run(self, runner: Any) -> None:
        """Close the bars and let the log through again."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._run_task = self._part_task = None
        for handler, level in self._quiet:
            handler.setLevel(level)
        self._quiet = []


def _numbers(metrics: Mapping[str, Any] | None) -> dict[str, float]:
    """Metrics without those that are no number, such as a confusion matrix."""
    return {
        name: float(value)
        for name, value in (metrics or {}).items()
        if np.ndim(value) == 0
    }
