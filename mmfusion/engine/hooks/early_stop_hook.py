"""Stop when validation does not improve any more."""

import math
from typing import Any

from mmengine.hooks import Hook

from mmfusion.engine.hooks.monitored import find_metric
from mmfusion.registry import HOOKS
from mmfusion.utils.errors import InputError, check_choice


@HOOKS.register_module()
class EarlyStopHook(Hook):
    """Ends training after ``patience`` validations in a row without an improvement.

    Unlike MMEngine's, its state is saved, so that a resumed run counts on.

    Args:
        monitor: the metric, for example ``'action/top1'``.
        patience: validations without improvement after which training ends.
        min_delta: what an improvement must exceed.
        rule: ``'greater'`` or ``'less'``: which value is better.
    """

    priority = "LOW"

    def __init__(
        self,
        *,
        monitor: str,
        patience: int = 10,
        min_delta: float = 0.0,
        rule: str = "greater",
    ) -> None:
        check_choice("rule", rule, ("greater", "less"))
        if patience < 1 or min_delta < 0:
            raise InputError(
                f"patience must be at least 1 and min_delta at least 0, got {patience} "
                f"and {min_delta}"
            )
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.sign = 1.0 if rule == "greater" else -1.0
        self.best = -math.inf
        self.num_bad = 0

    @property
    def is_over(self) -> bool:
        """True if patience is at its end."""
        return self.num_bad >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """The best value, its sign turned so that more is better, and the count."""
        return {
            "monitor": self.monitor,
            "sign": self.sign,
            "best": self.best,
            "num_bad": self.num_bad,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state_dict()``, unless it is of another metric or rule."""
        if (state["monitor"], state["sign"]) == (self.monitor, self.sign):
            self.best = state["best"]
            self.num_bad = state["num_bad"]

    def after_val_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        """Count, and tell the loop to stop when patience is at its end."""
        found = find_metric(metrics, self.monitor, "EarlyStopHook.monitor")
        value = self.sign * found
        if value > self.best + self.min_delta:
            self.best, self.num_bad = value, 0
            return
        self.num_bad += 1
        if self.is_over:
            runner.train_loop.stop_training = True
            runner.logger.info(
                f"early stop: {self.monitor} did not improve on "
                f"{self.sign * self.best:.4f} in {self.num_bad} validations"
            )
