"""Turn the signals that end a run into: finish the step, save, leave."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook

from mmfusion.registry import HOOKS
from mmfusion.utils.errors import TrainingStopped

SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
SAME_REQUEST = 3.0  # seconds


@HOOKS.register_module()
class GracefulStopHook(Hook):
    """Ends training after the current step, with a checkpoint of it.

    The first SIGTERM, SIGINT, SIGHUP, SIGUSR1 or SIGUSR2 is remembered; after the
    running step of training or validation all ranks agree to stop, save and leave with
    ``exit_code``, and the same command continues. SIGHUP stays ignored under nohup. A
    run of one process that waits for data leaves at once: a decoder may hang.

    What else comes within three seconds is the same request: torchrun and srun pass a
    signal on to processes that a batch system has signalled already. A later signal is
    a second one and ends the process at once; files are written atomically, so that
    this leaves none broken.

    Args:
        exit_code: what ``tools/train.py`` exits with after a stop: 0 lets a batch
            system that requeues go on, 143 tells it that the run is not complete.
    """

    priority = "LOWEST"

    def __init__(self, *, exit_code: int = 0) -> None:
        self.exit_code = exit_code
        self._received: int | None = None
        self._received_at = 0.0  # seconds
        self._previous: dict[int, Any] = {}
        self._pid = os.getpid()
        self._runner: Any = None

    def before_train(self, runner: Any) -> None:
        """Install the handlers; only a main thread may."""
        self._pid, self._runner = os.getpid(), runner
        if threading.current_thread() is not threading.main_thread():
            return
        for signum in SIGNALS:
            if signum == signal.SIGHUP and signal.getsignal(signum) is signal.SIG_IGN:
                continue  # nohup
            self._previous[signum] = signal.signal(signum, self.handle)

    def handle(self, signum: int, frame: Any) -> None:
        """Remember a first signal; end the process at a second one."""
        if os.getpid() != self._pid:
            return  # a forked worker of a loader: the run will end it
        if self._received is None:
            self._received, self._received_at = signum, time.monotonic()
            # ranks must agree, and the others are in a step
            if get_world_size() == 1 and self._runner.train_loop.is_waiting():
                self._check("while waiting for data")
        elif time.monotonic() - self._received_at > SAME_REQUEST:
            os._exit(128 + signum)

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


@contextmanager
def signals_until_exit(runner: Any) -> Iterator[None]:
    """Keep to the hook's rules after a stop as well, until the process ends.

    A signal that is passed on to a run that has just stopped would otherwise end the
    process before its exit code is told. For the main thread of a tool.

    Args:
        runner: the FusionRunner, not yet run.
    """
    hooks = [hook for hook in runner.hooks if isinstance(hook, GracefulStopHook)]
    before: dict[int, Any] = {signum: signal.getsignal(signum) for signum in SIGNALS}

    def handle(signum: int, frame: Any) -> None:
        previous = before[signum]
        if runner.was_stopped and hooks:
            hooks[0].handle(signum, frame)
        elif callable(previous):
            previous(signum, frame)
        else:  # in the seconds before training: nothing is lost
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

    replaced = [signum for signum in SIGNALS if before[signum] is not signal.SIG_IGN]
    for signum in replaced:
        signal.signal(signum, handle)
    try:
        yield
    finally:
        for signum in replaced:
            stopped = runner.was_stopped and hooks
            signal.signal(signum, signal.SIG_IGN if stopped else before[signum])
