"""Log what a model itself wants to be seen."""

from typing import Any

from mmengine.hooks import Hook

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
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Hand the values to the message hub, from which the loggers take them."""
        method = getattr(runner.bare_model, "logged_scalars", None)
        if method is None or not self.every_n_train_iters(runner, self.interval):
            return
        for name, value in method().items():
            runner.message_hub.update_scalar(f"train/{name}", float(value))
