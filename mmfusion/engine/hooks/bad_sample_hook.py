"""Counts broken clips over all workers and ranks, and stops above the budget."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.error_policy import BadSample, bad_samples_of
from mmfusion.engine.runner.distributed import gather_json
from mmfusion.registry import HOOKS
from mmfusion.utils.errors import MMFusionError
from mmfusion.utils.paths import write_atomic


class TooManyBadSamplesError(MMFusionError, RuntimeError):
    """More clips are broken than the dataset's ``on_error.max_bad`` allows."""

    exit_code = 1


@HOOKS.register_module()
class BadSampleHook(Hook):
    """Counts what the policy ``skip`` or ``replace`` of a dataset passed over.

    A broken clip counts once, however often it is asked for. Each is logged with its
    file when it is found, the counts by reason after each epoch, when they are also
    written to ``bad_samples.json`` in the work folder (of a test: in that of its log).
    Every rank counts its own clips; after an epoch, and for a checkpoint, all ranks put
    theirs together.

    Args:
        num_named: how many clips the error names.
    """

    priority = "VERY_HIGH"  # before anything else looks at the batch

    def __init__(self, *, num_named: int = 20) -> None:
        self.num_named = num_named
        self.found: dict[str, dict[str, BadSample]] = defaultdict(dict)

    def state_dict(self) -> dict[str, Any]:
        """Broken training clips of all ranks, in plain values; every rank calls it."""
        self._merge_ranks("train")
        return {"train": _to_plain(self.found["train"])}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state_dict()``."""
        self.found["train"] = _from_plain(state["train"])

    def before_train(self, runner: Any) -> None:
        """Hold the clips of a run that goes on against the budget as it is now."""
        dataset = runner.train_dataloader.dataset
        if isinstance(dataset, MultiModalDataset):
            limit = dataset.on_error.limit(len(dataset))
            found = self.found["train"]
            found.update({name: replace(found[name], limit=limit) for name in found})
            self._check_budget("train")

    def _before_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, mode: str = "train"
    ) -> None:
        """Count the broken clips that a batch reports; ``mode`` is its phase."""
        found = self.found[mode]
        for bad in bad_samples_of(data_batch):
            if bad.sample_id not in found:
                found[bad.sample_id] = bad
                runner.logger.warning(
                    f"broken clip {bad.sample_id!r} in {mode}, passed over"
                    f" ({len(found)} so far, {bad.limit} allowed): {bad.message}"
                )
                self._check_budget(mode)

    def _check_budget(self, phase: str) -> None:
        found = self.found[phase]
        if not found:
            return
        limit = min(bad.limit for bad in found.values())
        if len(found) <= limit:
            return
        named = list(found.values())[: self.num_named]
        lines = "\n".join(f"  {bad.sample_id}: {bad.message}" for bad in named)
        raise TooManyBadSamplesError(
            f"{len(found)} clips of the {phase} data are broken and on_error.max_bad"
            f" allows {limit}; mend or remove them, or raise max_bad. The first"
            f" {len(named)}:\n{lines}"
        )

    def _after_epoch(self, runner: Any, mode: str = "train") -> None:
        """Put the ranks' counts together, check the budget, log."""
        self._merge_ranks(mode)
        self._check_budget(mode)
        found = self.found[mode]
        if not found or not is_main_process():
            return
        reasons = dict(Counter(bad.reason for bad in found.values()))
        runner.logger.info(f"broken clips in {mode} so far: {len(found)}, {reasons}")
        report = {name: _to_plain(kept) for name, kept in self.found.items() if kept}
        text = json.dumps(report, indent=1, ensure_ascii=False)
        # a test has counts of its own, and may share the folder of the training
        folder = runner.log_dir if mode == "test" else runner.work_dir
        write_atomic(Path(folder) / "bad_samples.json", text.encode())

    def _merge_ranks(self, phase: str) -> None:
        """Every rank gets what any rank found."""
        merged: dict[str, BadSample] = {}
        for rows in gather_json(_to_plain(self.found[phase])):
            for name, bad in _from_plain(rows).items():
                merged.setdefault(name, bad)
        self.found[phase] = merged


def _to_plain(found: Mapping[str, BadSample]) -> list[list]:
    """Rows of (sample_id, reason, message, limit)."""
    return [[b.sample_id, b.reason, b.message, b.limit] for b in found.values()]


def _from_plain(rows: list[list]) -> dict[str, BadSample]:
    """The inverse of ``_to_plain``."""
    return {row[0]: BadSample(*row) for row in rows}
