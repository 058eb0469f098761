"""MMEngine's dataloader, apart from the global random generator and from signals."""

import atexit
import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.clip_process import describe_end, end_with_parent
from mmfusion.datasets.loader_watch import LoaderWatch
from mmfusion.engine.hooks.graceful_stop_hook import SIGNALS
from mmfusion.registry import FUNCTION
from mmfusion.utils.errors import ConfigError, LostProcessError, TrainingStopped


def build_dataloader(dataloader: DataLoader | dict, seed: int) -> DataLoader:
    """Build a loader whose samples depend on ``seed``, not on what was drawn before.

    Args:
        dataloader: config as MMEngine has it, or a loader.
        seed: the run's, the same on every rank.
    """
    if isinstance(dataloader, dict):
        dataloader = _with_collate(dataloader)
        if not dataloader.get("num_workers"):  # what torch refuses without workers
            workers_only = ("persistent_workers", "prefetch_factor")
            dataloader = {k: v for k, v in dataloader.items() if k not in workers_only}
    loader = Runner.build_dataloader(dataloader, seed=seed)
    if loader.generator is None:
        loader.generator = torch.Generator()
    loader.generator.manual_seed(seed)
    # MMEngine builds torch's class and takes no other
    loader.__class__ = WatchedLoader
    loader.watch_workers()
    return loader


class WatchedLoader(DataLoader):
    """DataLoader that says when the run waits for it, and which worker has died.

    Attributes:
        is_waiting: the run waits for a batch that another process makes.
    """

    is_waiting = False
    watch: LoaderWatch
    _num_iterators = 0

    def watch_workers(self) -> None:
        """Prepare what a constructor would; call it once."""
        self.watch = LoaderWatch(self.num_workers)
        self.worker_init_fn = partial(
            _init_worker, inner=self.worker_init_fn, watch=self.watch
        )
        if isinstance(self.dataset, MultiModalDataset):
            self.dataset.watch = self.watch
        atexit.register(_end_workers, self.watch, os.getpid())

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """MMEngine's and torch's, batch by batch.

        Raises:
            LostProcessError: a worker was killed or has crashed.
        """
        self._num_iterators += 1
        self.watch.begin()
        elsewhere = self.num_workers > 0 or (
            isinstance(self.dataset, MultiModalDataset)
            and self.dataset.clip_timeout is not None
        )
        batches = self._begin()
        try:
            while True:
                self.is_waiting = elsewhere
                try:
                    batch = next(batches)
                except StopIteration:
                    return
                finally:
                    self.is_waiting = False
                yield batch
        except TrainingStopped:
            raise
        except Exception as error:
            lost = self._lost_worker(batches, error)
            self._end_workers(batches)
            if lost is None:
                raise
            raise LostProcessError(lost) from error
        finally:
            self._num_iterators -= 1
            if not self._num_iterators:
                self.watch.end()
            if not self.num_workers and isinstance(self.dataset, MultiModalDataset):
                self.dataset.close()  # what changes meanwhile is seen

    def _begin(self) -> Any:
        """torch's iterator, without its SIGCHLD handler.

        That one raises wherever the run is when a worker dies, in the middle of a save
        or of a step; without it, the death shows where the next batch is asked for.
        """
        if threading.current_thread() is not threading.main_thread():
            return super().__iter__()
        before = signal.getsignal(signal.SIGCHLD)
        try:
            return super().__iter__()
        finally:
            signal.signal(signal.SIGCHLD, before)

    def end(self) -> None:
        """End the workers that wait for another epoch: a run that is over needs none.

        Left to the garbage collector, which takes their queues first, each would be
        waited for, 10 s.
        """
        if self._iterator is not None:
            for process in self._iterator._workers:  # type: ignore[attr-defined]
                process.kill()  # they ignore SIGTERM, and have nothing to lose
            self._end_workers(self._iterator)

    def _end_workers(self, batches: Any) -> None:
        """End the workers now: the error that was raised keeps torch's iterator."""
        self.watch.end()
        if self.num_workers:
            batches._shutdown_workers()
            self._iterator = None

    def _lost_worker(self, batches: Any, error: Exception) -> str | None:
        """Message about a worker that has died; None where all live.

        torch's own says neither the samples nor, in many cases, the signal.
        """
        if not self.num_workers:
            return None
        # a connection breaks before its process is gone
        tries = 50 if isinstance(error, OSError | EOFError) else 1
        for _ in range(tries):
            for worker, process in enumerate(batches._workers):
                if process.exitcode:
                    read = self.watch.notes().get(process.pid)
                    return (
                        f"worker {worker} of the loader (pid {process.pid})"
                        f" {describe_end(process.exitcode)}"
                        + (f". It read last: {read}" if read else "")
                    )
            time.sleep(0.02)
        return None


def _end_workers(watch: LoaderWatch, owner: int) -> None:
    """End workers that are left at the end of the run: they ignore SIGTERM."""
    if os.getpid() == owner:
        for child in multiprocessing.active_children():
            if child.pid in watch.notes():
                child.kill()


def _with_collate(dataloader: dict) -> dict:
    """The config with its collate function found: MMEngine looks in its own only."""
    collate = dataloader.get("collate_fn")
    if not isinstance(collate, dict) or not isinstance(collate.get("type"), str):
        return dataloader
    name = collate["type"]
    function = FUNCTION.get(name) or FUNCTION.get(name.removeprefix("mmfusion."))
    if function is None:
        raise ConfigError(f"collate_fn: no function named {name!r}")
    return {**dataloader, "collate_fn": {**collate, "type": function}}


def _init_worker(worker_id: int, inner: Callable | None, watch: LoaderWatch) -> None:
    """Leave signals to the run, which stops gracefully and ends its workers itself.

    A signal to the group (Ctrl-C) does not reach a worker, and one to all processes of
    a job (slurm) has no effect. A worker ends with the run, even if that is killed.
    """
    gc.freeze()  # garbage of the run may wait for threads that are not here
    watch.enter(worker_id)
    os.setpgrp()
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    end_with_parent()
    if inner is not None:
        inner(worker_id)
