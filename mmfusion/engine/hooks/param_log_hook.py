"""Log what a model itself wants to be seen."""

from typing import Any

from mmengine.hooks import Hook

from mmfusion.models.protocols import LogsScalars
from mmfusion.registry import HOOKS
from mmfusion.utils.errors import InputError


@HOOKS.register_module()
class ParamLogHook(Hook):
    """Logs the values of ``model.logged_scalars()``, such as alpha of a weighted mix.

    A model without that method is left alone.

    Args:
        interval: iterations between two records.
    """

    priority = "NORMAL"  # before the logger

    def __init__(self, *, interval: int = 1) -> None:
        if interval < 1:
            raise InputError(f"interval must be at least 1, got {interval}")
        self.interval = interval

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Hand the values to the message hub, from which the loggers take them."""
        model = runner.bare_model
        if not isinstance(model, LogsScalars):
            return
        if not self.every_n_train_iters(runner, self.interval):
            return
        for name, value in model.logged_scalars().items():
            runner.message_hub.update_scalar(f"train/{name}", float(value))
