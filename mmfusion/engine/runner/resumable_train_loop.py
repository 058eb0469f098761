"""Training by epochs that can be left and entered at any step."""

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dist import broadcast, get_rank, get_world_size
from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader

from mmfusion.engine.optimizers.fusion_optim_wrapper import FusionOptimWrapper
from mmfusion.engine.protocols import FollowsEpochs, KnowsContent, StartsAnywhere
from mmfusion.engine.runner.dataloader import WatchedLoader
from mmfusion.engine.runner.nonfinite import explain
from mmfusion.engine.runner.run_state import get_rng_state, preserved_rng, set_rng_state
from mmfusion.registry import LOOPS
from mmfusion.utils.errors import (
    ConfigError,
    InputError,
    NonFiniteError,
    TrainingStopped,
)


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """MMEngine's epoch loop with a state of its own: where in the epoch it stands.

    Where its state is complete it calls ``on_save_point`` of the hooks, see
    :class:`SavePointHook`. A hook that raises TrainingStopped there, or during
    validation, ends the run: ``on_stop`` of the hooks saves, and a validation that was
    left is done again on resume, from its start. Validation leaves the global random
    generators as they were.

    Args:
        runner: the FusionRunner.
        dataloader: a loader or its config.
        max_epochs: epochs to train.
        val_begin: first epoch that is followed by a validation.
        val_interval: epochs between two validations.
        dynamic_intervals: MMEngine's pairs (epoch, interval from there on).
    """

    def __init__(
        self,
        runner: Any,
        dataloader: DataLoader | dict,
        max_epochs: int,
        val_begin: int = 1,
        val_interval: int = 1,
        dynamic_intervals: list[tuple[int, int]] | None = None,
    ) -> None:
        if max_epochs < 1:
            raise InputError(
                f"train_cfg.max_epochs is {max_epochs}, expected 1 or more"
            )
        super().__init__(
            runner, dataloader, max_epochs, val_begin, val_interval, dynamic_intervals
        )
        if self.dataloader.generator is None:
            raise ConfigError(
                "ResumableTrainLoop needs loaders made by FusionRunner; start the run"
                " by mmfusion.engine.FusionRunner.from_cfg(config).train()"
            )
        self.epoch_length = len(self.dataloader)
        if self.epoch_length == 0:
            raise InputError(
                f"train_dataloader has no batch: {len(self.dataloader.dataset)} samples"
                f" in batches of {self.dataloader.batch_size}, and what is not whole is"
                " dropped; lower train_dataloader.batch_size, or set"
                " train_dataloader.drop_last=False"
            )
        dataset = self.dataloader.dataset
        self._data = dataset.digest() if isinstance(dataset, KnowsContent) else None
        self.was_stopped = False
        self._batch = 0  # batches done in the current epoch
        self._val_pending = False
        self._rng: dict[str, Tensor] | None = None

    def progress(self) -> dict[str, Any]:
        """Position of the run, in plain values."""
        return {
            "epoch": self._epoch,
            "iter": self._iter,
            "batch": self._batch,
            "val_pending": self._val_pending,
            "stop_training": self.stop_training,
            "epoch_parts": self.epoch_parts(),
            "data": self._data,
        }

    def epoch_parts(self) -> dict[str, int | None]:
        """Number of ``batches`` in an epoch, ``samples`` of the data, and in a step.

        ``step`` is the batch size times the number of processes; None if batches have
        no common size.
        """
        size: int | None = getattr(self.dataloader.batch_sampler, "batch_size", None)
        return {
            "batches": self.epoch_length,
            "samples": len(self.dataloader.dataset),
            "step": None if size is None else size * get_world_size(),
        }

    def load_progress(
        self, progress: dict[str, Any], rng: list[dict[str, Tensor]]
    ) -> None:
        """Stand where ``progress()`` says, with the random states of every rank.

        Epoch and batch say where; iterations are counted in epochs of this length.
        """
        self._epoch = progress["epoch"]
        self._batch = progress["batch"]
        self._iter = self._epoch * self.epoch_length + self._batch
        self._decide_current_val_interval()
        self._val_pending = progress["val_pending"] and self._val_is_due()
        self.stop_training = progress["stop_training"]
        if get_rank() < len(rng):
            self._rng = rng[get_rank()]

    @property
    def sampler(self) -> Any:
        """The sampler that decides the order, inside a batch sampler or not."""
        batches = self.dataloader.batch_sampler
        found = self.dataloader.sampler
        if not isinstance(found, StartsAnywhere) and isinstance(batches, BatchSampler):
            return batches.sampler
        return found

    def is_waiting(self) -> bool:
        """True while another process makes the next batch: the state is complete."""
        if isinstance(self.dataloader, WatchedLoader) and self.dataloader.is_waiting:
            return self._weights_updated()
        val_loop = self.runner.val_loop
        loader = None if val_loop is None else val_loop.dataloader
        return isinstance(loader, WatchedLoader) and loader.is_waiting

    def run(self) -> torch.nn.Module:
        """Train from where the loop stands to the end, or until stopped."""
        wrapper = self.runner.optim_wrapper
        if isinstance(wrapper, FusionOptimWrapper):
            wrapper.set_epoch_length(self.epoch_length)
        self.runner.call_hook("before_train")
        try:
            self._run_epochs()
        except TrainingStopped as stop:
            self.was_stopped = True
            self.runner.call_hook("on_stop")
            self.runner.logger.info(f"training stopped: {stop}")
            return self.runner.model
        self.runner.call_hook("after_train")
        return self.runner.model

    def _run_epochs(self) -> None:
        while True:
            if self._val_pending:
                self._validate()
            if self._epoch >= self._max_epochs or self.stop_training:
                self._restore_rng()  # nothing was left to do: the state stays as it was
                return
            self.run_epoch()

    def run_epoch(self) -> None:
        """Train one epoch, or what is left of it."""
        self.runner.call_hook("before_train_epoch")
        self._restore_rng()
        self.runner.model.train()
        for idx, data_batch in self._batches():
            self.run_iter(idx, data_batch)
            self._batch = idx + 1
            if self._weights_updated():
                self.runner.call_hook("on_save_point", kind="iter")
        self._share_buffers()
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1
        self._batch = 0
        self._decide_current_val_interval()
        self._val_pending = self._val_is_due()
        self.runner.call_hook("on_save_point", kind="epoch")

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """One step; a non-finite one is explained before the error leaves."""
        before = get_rng_state()
        try:
            super().run_iter(idx, data_batch)
        except NonFiniteError as error:
            set_rng_state(before)  # the same dropout again
            what = explain(self.runner, data_batch, self.dataloader.dataset)
            step = f"epoch {self._epoch + 1}, iteration {self._iter + 1}"
            raise NonFiniteError(f"{error} at {step}; {what}") from None

    def _batches(self) -> Iterator[tuple[int, Any]]:
        """The batches of this epoch that are still to be done, with their numbers."""
        done = self._batch
        if done >= self.epoch_length:
            return
        loader, sampler = self.dataloader, self.sampler
        # workers of data sets with a global generator: seeded by epoch, not by history
        loader.generator.manual_seed(self.runner.base_seed + self._epoch)
        if isinstance(sampler, FollowsEpochs):
            sampler.set_epoch(self._epoch)
        skip = 0
        if done and isinstance(sampler, StartsAnywhere):
            sampler.set_start(done * loader.batch_sampler.batch_size)
        elif done:
            self.runner.logger.warning(
                f"{type(sampler).__name__} has no set_start: reading {done} batches to "
                "reach the middle of the epoch"
            )
            skip = done
        for idx, batch in enumerate(loader, done - skip):
            if idx >= done:
                yield idx, batch

    def _weights_updated(self) -> bool:
        """False between the updates of gradient accumulation."""
        wrapper = self.runner.optim_wrapper
        return not isinstance(wrapper, OptimWrapper) or wrapper.should_update()

    def _share_buffers(self) -> None:
        """Give every rank the first one's buffers: a batch norm's statistics are local.

        All ranks then validate the model that is saved.
        """
        if get_world_size() > 1:
            for buffer in self.runner.bare_model.buffers():
                broadcast(buffer)

    def _val_is_due(self) -> bool:
        return (
            self.runner.val_loop is not None
            and self._epoch >= self.val_begin
            and (
                self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
            )
        )

    def _validate(self) -> None:
        """Run the pending validation; left early, it stays pending."""
        self._restore_rng()
        try:
            with preserved_rng():
                self.runner.val_loop.run()
        except TrainingStopped:
            self._undo_validation()
            raise
        self._val_pending = False
        self.runner.call_hook("on_save_point", kind="val")

    def _undo_validation(self) -> None:
        """Give the model its own weights back where an EMA was being validated."""
        for hook in self.runner.hooks:
            if isinstance(hook, EMAHook):
                hook.after_val_epoch(self.runner)

    def _restore_rng(self) -> None:
        """Put the saved random state back: last, as hooks before may have drawn."""
        if self._rng is not None:
            set_rng_state(self._rng)
            self._rng = None


def get_progress(loop: ResumableTrainLoop, meta: dict[str, Any]) -> dict[str, Any]:
    """The loop's position, or the one that MMEngine's CheckpointHook states."""
    if "iter" not in meta:
        return loop.progress()
    epoch, iteration = meta["epoch"], meta["iter"]
    batch = iteration - epoch * loop.epoch_length
    stated = {"epoch": epoch, "iter": iteration, "batch": batch, "val_pending": False}
    return {**loop.progress(), **stated}
