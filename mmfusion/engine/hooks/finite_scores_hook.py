"""End a validation or a test at a score that is not finite, and say whose it is."""

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

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = "train",
    ) -> None:
        """Raise NonFiniteError for a score of a validation or a test."""
        if mode == "train":  # its optimizer wrapper checks the loss
            return
        phase = {"val": "validation", "test": "testing"}[mode]
        loop = runner.val_loop if mode == "val" else runner.test_loop
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
