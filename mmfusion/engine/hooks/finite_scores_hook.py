"""End a validation or a test at a score that is not finite, and say whose it is."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import Hook

from mmfusion.engine.runner.nonfinite import explain, is_finite
from mmfusion.registry import HOOKS
from mmfusion.utils.errors import NonFiniteError


@HOOKS.register_module()
class FiniteScoresHook(Hook):
    """Checks the scores of every batch; the runner has this hook always.

    A NaN would else count as a wrong answer, or stand in a dumped file.
    """

    priority = "VERY_HIGH"

    def after_val_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Raise NonFiniteError for a score of a validation."""
        loop = runner.val_loop
        self._check(runner, "validation", batch_idx, loop, data_batch, outputs)

    def after_test_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Raise NonFiniteError for a score of a test."""
        loop = runner.test_loop
        self._check(runner, "testing", batch_idx, loop, data_batch, outputs)

    def _check(
        self,
        runner: Any,
        phase: str,
        batch_idx: int,
        loop: Any,
        data_batch: Any,
        outputs: Sequence | None,
    ) -> None:
        scores = [_scores(sample) for sample in outputs or ()]
        if is_finite(scores):
            return
        bad = [index for index, found in enumerate(scores) if not is_finite(found)]
        names = {name for index in bad for name in scores[index]}
        with torch.no_grad():
            what = explain(runner, data_batch, loop.dataloader.dataset, bad)
        raise NonFiniteError(
            f"{', '.join(sorted(names))} of {len(bad)} clips is not finite in {phase},"
            f" batch {batch_idx + 1} of {len(loop.dataloader)}; {what}"
        )


def _scores(sample: Any) -> dict[str, Any]:
    """The scores of one clip by task; none for what is no data sample."""
    keys = sample.keys() if hasattr(sample, "keys") else ()
    return {key: sample.get(key) for key in keys if key.startswith("score_")}
