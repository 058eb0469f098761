"""Turn SIGTERM and SIGINT into: finish the step, save, leave."""

import os
import signal
import threading
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook

from mmfusion.registry import HOOKS
from mmfusion.utils.errors import TrainingStopped

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@HOOKS.register_module()
class GracefulStopHook(Hook):
    """Ends training after the current step, with a checkpoint of it.

    The first SIGTERM, SIGINT or SIGUSR1 is remembered; after the running step of
    training or validation all ranks agree to stop, save and leave with ``exit_code``,
    and the same command continues. A second signal ends the process at once; files are
    written atomically, so that this leaves none broken.

    Args:
        exit_code: what ``tools/train.py`` exits with after a stop: 0 lets a batch
            system that requeues go on, 143 tells it that the run is not complete.
    """

    priority = "LOWEST"

    def __init__(self, *, exit_code: int = 0) -> None:
        self.exit_code = exit_code
        self._received: int | None = None
        self._previous: dict[int, Any] = {}
        self._pid = os.getpid()

    def before_train(self, runner: Any) -> None:
        """Install the handlers; only a main thread may."""
        self._pid, self._runner = os.getpid(), runner
        if threading.current_thread() is threading.main_thread():
            self._previous = {sig: signal.signal(sig, self._handle) for sig in SIGNALS}

    def _handle(self, signum: int, frame: Any) -> None:
        if os.getpid() != self._pid:
            return  # a forked worker of a loader: the run will end it
        if self._received is not None:
            os._exit(128 + signum)
        self._received = signum

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Leave a validation; its outcome is not counted."""
        loader = runner.val_dataloader
        per_step = get_world_size() * (loader.batch_size or 1)
        # ranks may differ in their last batch: agree only where all take part
        if batch_idx < len(loader.dataset) // per_step:
            self._check("in validation")

    def on_save_point(self, runner: Any, kind: str) -> None:
        """Leave after a step, an epoch or a validation."""
        self._check(f"after iteration {runner.iter}")

    def _check(self, where: str) -> None:
        """Raise TrainingStopped on every rank if any rank got a signal."""
        received = torch.tensor(self._received or 0)
        if get_world_size() > 1:
            all_reduce(received, "max")
        if int(received):
            name = signal.Signals(int(received)).name
            raise TrainingStopped(f"{name} {where}; the same command continues")

    def after_run(self, runner: Any) -> None:
        """Give the signals back."""
        for sig, handler in self._previous.items():
            signal.signal(sig, handler)
        self._previous = {}
