"""Say where a stream is absent that training had."""

import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook

from mmfusion.engine.runner.distributed import gather_json
from mmfusion.registry import HOOKS
from mmfusion.structures import MASK_SUFFIX

_MORE = 0.1  # of all clips, above the share in training


@HOOKS.register_module()
class StreamPresenceHook(Hook):
    """Counts in how many clips each stream is absent; warns where a test lacks it.

    A clip lacks a stream where its mask is False everywhere: it has no such file, or
    ``DropStreams`` took it. A fused model that lost one of its streams may be worse
    than a model of the other one alone, and its scores look like any others. The first
    epoch of a training logs the counts, and each checkpoint says in ``meta["streams"]``
    how often training lacked which stream: (clips without it, clips), of one epoch and
    one process. A validation or a test that lacks it in all clips, or in a tenth of
    them more than training did, logs one warning a stream.
    """

    def __init__(self) -> None:
        self.trained: dict[str, list[int]] = {}
        self._counts: dict[str, list[int]] = {}
        self._without: dict[str, set[str]] = {}
        self._told: dict[tuple[str, str], int] = {}

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Write the counts of training into ``meta``."""
        checkpoint["meta"]["streams"] = self.trained or self._counts

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Take the counts of the training that wrote the checkpoint."""
        self.trained = dict(checkpoint["meta"].get("streams") or {})

    def before_train_epoch(self, runner: Any) -> None:
        """Count anew."""
        self._counts = {}

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Count the clips of a batch."""
        for name, ids in _absent(data_batch).items():
            count = self._counts.setdefault(name, [0, 0])
            count[0] += len(ids)
            count[1] += len(data_batch["data_samples"])

    def after_train_epoch(self, runner: Any) -> None:
        """Keep the counts, tell the first; warn of a stream that no clip had."""
        is_first = not self.trained
        self.trained = self._counts
        for name, (absent, clips) in self.trained.items():
            if is_first and 0 < absent < clips:
                runner.logger.info(
                    f"training: the stream {name!r} is absent in {absent} of {clips}"
                    " clips of this epoch"
                )
            if absent == clips:
                self._warn(
                    runner,
                    ("training", name),
                    clips,
                    f"training: the stream {name!r} is absent in all {clips} clips:"
                    " nothing is learnt from it",
                )

    def _before_epoch(self, runner: Any, mode: str = "train") -> None:
        """Begin a validation or a test with nothing."""
        self._without = defaultdict(set)

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = "train",
    ) -> None:
        """Keep the clips of a batch that lack a stream."""
        for name, ids in _absent(data_batch).items():
            self._without[name] |= ids

    def _after_epoch(self, runner: Any, mode: str = "train") -> None:
        """Compare what was absent, over all processes, with training."""
        found: dict[str, set[str]] = defaultdict(set)
        for part in gather_json({name: sorted(x) for name, x in self._without.items()}):
            for name, ids in part.items():
                found[name] |= set(ids)
        loop = runner.val_loop if mode == "val" else runner.test_loop
        clips = len(loop.dataloader.dataset)
        phase = "validation" if mode == "val" else "test"
        for name, ids in found.items():
            absent, of = self.trained.get(name) or (0, 0)
            before = absent / of if of else 0.0
            share = len(ids) / clips
            if before == 1 or not (share == 1 or share > before + _MORE):
                continue
            others = [other for other in found if other != name]
            self._warn(
                runner,
                (phase, name),
                len(ids),
                _text(phase, name, len(ids), clips, (absent, of), others),
            )

    def _warn(self, runner: Any, key: tuple[str, str], count: int, text: str) -> None:
        """Log, once for each new count."""
        if self._told.get(key) != count:
            self._told[key] = count
            runner.logger.log(logging.WARNING, text)


def _absent(batch: Any) -> dict[str, set[str]]:
    """Ids of a batch's clips that lack a stream, by stream."""
    inputs = batch.get("inputs") if isinstance(batch, Mapping) else None
    if not isinstance(inputs, Mapping):
        return {}  # data of another kind
    found: dict[str, set[str]] = {}
    for name in inputs:
        if name.endswith(MASK_SUFFIX):
            continue
        mask = inputs.get(name + MASK_SUFFIX)
        missing = [] if mask is None else (~mask.flatten(1).any(1)).tolist()
        found[name] = {
            str(sample.metainfo.get("sample_id"))
            for sample, is_missing in zip(batch["data_samples"], missing, strict=False)
            if is_missing
        }
    return found


def _text(
    phase: str,
    name: str,
    absent: int,
    clips: int,
    trained: tuple[int, int],
    others: list[str],
) -> str:
    where = f"all {clips} clips" if absent == clips else f"{absent} of {clips} clips"
    before = (
        f"in {trained[0]} of {trained[1]} clips of training"
        if trained[1]
        else "how often in training, the checkpoint does not say"
    )
    advice = (
        f"; a fused model without it may be worse than one of {', '.join(others)} alone"
        if others
        else ""
    )
    return f"{phase}: the stream {name!r} is absent in {where} ({before}){advice}"
