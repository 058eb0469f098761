"""Save checkpoints, keep the newest and the best, and say when a run is finished."""

import json
import math
import operator
import shutil
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmfusion.engine.hooks.monitored import find_metric
from mmfusion.engine.runner.card import scored
from mmfusion.engine.runner.work_dir import (
    BEST,
    FINISHED,
    best_meta,
    find_checkpoints,
    set_aside,
)
from mmfusion.registry import HOOKS
from mmfusion.utils.errors import CheckpointError, InputError, check_choice
from mmfusion.utils.paths import write_atomic

RULES = {
    "greater": operator.gt,
    "less": operator.lt,
    "greater_or_equal": operator.ge,
}


@HOOKS.register_module()
class AtomicCheckpointHook(Hook):
    """Writes ``epoch_N.pth``, ``iter_N.pth`` and ``best.pth`` into the work folder.

    An older checkpoint is deleted only after the new one is in place, so that there is
    a complete one at any moment. ``epoch_N.pth`` is written after the epoch and again
    after its validation; a run that is stopped writes ``iter_N.pth``. ``best.pth`` has
    the weights only (those of the EMA where there is one). ``last_checkpoint`` names
    the newest file, and ``finished.json`` is the last thing that a complete run writes.

    Args:
        interval: epochs between two checkpoints; the last epoch is always saved.
        iter_interval: also save every so many iterations; None does not.
        max_keep_ckpts: resumable checkpoints to keep; -1 keeps all.
        save_best: the metric of ``best.pth``; None writes none.
        rule: ``'greater'`` or ``'less'``: which value of the metric is better; of equal
            ones the first is kept. ``'greater_or_equal'`` keeps the last: on a handful
            of clips many epochs are equal, and the first of them has learned least.
        best_from: share of ``max_epochs``, in [0, 1], before which no ``best.pth`` is
            chosen: where a handful of clips validates, an early epoch is the best of
            many by luck; 0 takes every epoch. The last one always counts.
        on_save_error: ``'raise'``, or ``'continue'`` to log the error, go on training
            and try again at the next checkpoint. Where a run ends, it raises.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        *,
        interval: int = 1,
        iter_interval: int | None = None,
        max_keep_ckpts: int = 2,
        save_best: str | None = None,
        rule: str = "greater",
        best_from: float = 0.0,
        on_save_error: str = "raise",
    ) -> None:
        check_choice("rule", rule, RULES)
        check_choice("on_save_error", on_save_error, ("raise", "continue"))
        if interval < 1 or max_keep_ckpts == 0 or max_keep_ckpts < -1:
            raise InputError(
                f"interval {interval} and max_keep_ckpts {max_keep_ckpts} must be at "
                "least 1 (max_keep_ckpts may be -1: all)"
            )
        if not 0 <= best_from <= 1:
            raise InputError(f"best_from: got {best_from}; expected a share, 0 to 1")
        self.best_from = best_from
        self.interval = interval
        self.iter_interval = iter_interval
        self.max_keep_ckpts = max_keep_ckpts
        self.save_best = save_best
        self.rule = rule
        self.on_save_error = on_save_error
        self.best: dict[str, Any] | None = None
        self._metrics: dict[str, float] = {}
        self._saved: dict[str, Any] | None = None  # the progress last written
        self._kept: list[Path] = []
        self._told = ""  # name of the file last written
        self._finished = False

    def state_dict(self) -> dict[str, Any]:
        """The best value so far and its epoch."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state_dict()``."""
        self.best = state["best"]

    def before_train(self, runner: Any) -> None:
        """Find the checkpoints of this run that are there already, oldest first.

        A complete run that goes on is not complete until it ends again.
        """
        self._finished = False
        self._find_best(runner)
        if not is_main_process():
            return
        (Path(runner.work_dir) / FINISHED).unlink(missing_ok=True)
        found = find_checkpoints(runner.work_dir)
        self._kept = [path for path, _ in reversed(found.good)]
        for path in found.broken:
            runner.logger.warning(
                f"{path} is damaged; it is now {set_aside(path, 'damaged')}"
            )

    def after_val_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        """Remember what the validation measured."""
        self._metrics = dict(metrics or {})

    def on_save_point(self, runner: Any, kind: str) -> None:
        """Save what is due after an iteration, an epoch or a validation."""
        if kind == "val":
            self._update_best(runner)
        if kind == "iter":
            if self.iter_interval and runner.iter % self.iter_interval == 0:
                self._save(runner, f"iter_{runner.iter}.pth", {})
        elif runner.epoch % self.interval == 0 or self._is_last(runner):
            scores = self._scores(runner) if kind == "val" else {}
            self._save(runner, f"epoch_{runner.epoch}.pth", scores)

    def _scores(self, runner: Any) -> dict[str, dict[str, Any]]:
        """Scores of the validation that has just ended, for the card of a file."""
        return scored(self._metrics, runner.val_dataloader.dataset)

    def _find_best(self, runner: Any) -> None:
        """Take the best value so far from ``best.pth``, which is what there is of it.

        A run that goes on from a checkpoint of another folder takes the file along.
        """
        if runner.resumed_from is None:
            return
        path = Path(runner.work_dir) / BEST
        if not path.exists():
            source = runner.resumed_from.with_name(BEST)
            if self.best is not None and self._best_in(source) == self.best:
                if is_main_process():
                    with open(source, "rb") as file:
                        write_atomic(path, partial(_copy, file))
                return
        found = self._best_in(path)
        if self.best is not None and found is None:
            best = "{metric} {value:.4f} of epoch {epoch}".format(**self.best)
            runner.logger.warning(
                f"the best so far, {best}, is forgotten: {path} does not hold it"
            )
        self.best = found

    def _best_in(self, path: Path) -> dict[str, Any] | None:
        """Metric, value and epoch of a ``best.pth``; None if of another metric."""
        best = (best_meta(path) or {}).get("best")
        asked = {"metric": self.save_best, "rule": self.rule}
        return best if best and asked.items() <= best.items() else None

    def on_stop(self, runner: Any) -> None:
        """Save the step at which a run is stopped."""
        self._save_end(runner, f"iter_{runner.iter}.pth")

    def after_train(self, runner: Any) -> None:
        """Save a run that was ended early between two intervals."""
        self._save_end(runner, f"epoch_{runner.epoch}.pth")
        self._finished = True

    def _save_end(self, runner: Any, name: str) -> None:
        """Save where the run ends, if it is not saved; no later save can make it up."""
        if self._saved != runner.train_loop.progress():
            self._save(runner, name, {}, or_raise=True)

    def after_run(self, runner: Any) -> None:
        """Write ``finished.json``, after the loggers have closed."""
        if self._finished and is_main_process():
            done = {"epoch": runner.epoch, "iter": runner.iter, "best": self.best}
            text = json.dumps(done, indent=2) + "\n"
            write_atomic(Path(runner.work_dir) / FINISHED, text.encode())

    def _is_last(self, runner: Any) -> bool:
        return runner.epoch >= runner.max_epochs or runner.train_loop.stop_training

    def _is_early(self, runner: Any) -> bool:
        """Tell whether the epoch is before the share where a best one is chosen."""
        if not self.best_from or self._is_last(runner):
            return False
        return runner.epoch < self.best_from * runner.max_epochs

    def _update_best(self, runner: Any) -> None:
        if self.save_best is None or self._is_early(runner):
            return
        value = find_metric(self._metrics, self.save_best, "save_best")
        if not math.isfinite(value):  # nothing would be better than a NaN
            return
        if self.best is not None and not RULES[self.rule](value, self.best["value"]):
            return
        before = self.best
        self.best = {"metric": self.save_best, "rule": self.rule}
        self.best.update(value=value, epoch=runner.epoch)
        if not self._write(runner, BEST, self._scores(runner), resumable=False):
            self.best = before  # of which best.pth still is
            return
        runner.logger.info(
            f"best {self.save_best} so far: {value:.4f}, epoch {runner.epoch}"
        )

    def _save(
        self,
        runner: Any,
        name: str,
        scores: dict[str, dict[str, Any]],
        *,
        or_raise: bool = False,
    ) -> None:
        """Write a resumable checkpoint, then drop those that are too many."""
        if not self._write(runner, name, scores, resumable=True, or_raise=or_raise):
            return
        self._saved = runner.train_loop.progress()
        path = Path(runner.work_dir) / name
        self._kept = [old for old in self._kept if old != path] + [path]
        if not is_main_process():
            return
        write_atomic(Path(runner.work_dir) / "last_checkpoint", str(path).encode())
        if self.max_keep_ckpts > 0:
            while len(self._kept) > self.max_keep_ckpts:
                self._kept.pop(0).unlink(missing_ok=True)

    def _write(
        self,
        runner: Any,
        name: str,
        scores: dict[str, dict[str, Any]],
        *,
        resumable: bool,
        or_raise: bool = False,
    ) -> bool:
        """True if the file was written; a failure follows ``on_save_error``."""
        try:
            runner.save_checkpoint(
                runner.work_dir,
                name,
                save_optimizer=resumable,
                save_param_scheduler=resumable,
                meta={"best": self.best, "metrics": scores},
            )
        except CheckpointError as error:
            if or_raise or self.on_save_error == "raise":
                raise
            runner.logger.error(f"going on without a checkpoint: {error}")
            return False
        if name != self._told:  # an epoch is saved again after its validation
            runner.logger.info(f"saved {name}")
        self._told = name
        return True


def _copy(source: BinaryIO, file: BinaryIO) -> None:
    """Write all of ``source``, however much was read of it."""
    source.seek(0)
    shutil.copyfileobj(source, file)
