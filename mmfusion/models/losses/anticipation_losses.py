"""Losses of an anticipating neck beside that of the future: of the observed past.

Shapes: b rows (clips times views), t observed moments, d channels, k classes.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmfusion.registry import MODELS
from mmfusion.structures import ActionDataSample, Foreseen, ForwardPass
from mmfusion.utils.errors import InputError, check_choice

MEANS = ("all", "labelled")
_PAST, _NONE = "past_", -1


@MODELS.register_module()
class FeatureRegression(BaseModule):
    """Mean squared distance of each foreseen moment to the observed one (an auxiliary).

    AVT's L_feat (arXiv 2106.02036, equation 8) and AFFT's feature loss. As in both
    releases gradients reach what is foreseen *and* what is observed.

    Args:
        weight: of the loss.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, made: ForwardPass) -> dict[str, Tensor]:
        """The loss of one forward, ``{"feature": 0-d}``; 0 of a single moment.

        Raises:
            ValueError: the neck foresees nothing.
        """
        foreseen = _foreseen(made)
        error = (foreseen.predicted[:, :-1] - foreseen.observed[:, 1:]).float()
        error = error.square().mean(-1)  # (b, t - 1)
        if foreseen.mask is None:
            there = torch.ones_like(error)
        else:
            there = (foreseen.mask[:, :-1] & foreseen.mask[:, 1:]).to(error.dtype)
        loss = (error * there).sum() / there.sum().clamp(min=1)
        return {"feature": self.weight * loss}


@MODELS.register_module()
class PastClassification(BaseModule):
    """Cross entropy of observed moments that have a label (an auxiliary).

    AVT's L_cls of past frames (arXiv 2106.02036, equation 9). The heads read the first
    moment as observed and each other as it was foreseen; :class:`LabelObserved` gives
    the labels.

    Args:
        weight: of each task's loss.
        label_smoothing: share of the target spread over all classes, in [0, 1).
        mean_over: ``all`` moments of the batch, of which one without a label counts as
            zero (AVT's release), or the ``labelled`` ones alone (AFFT's, as it trains).

    Raises:
        ValueError: ``mean_over`` is neither.
    """

    def __init__(
        self,
        weight: float = 1.0,
        label_smoothing: float = 0.0,
        mean_over: str = "all",
    ) -> None:
        super().__init__()
        check_choice("mean_over", mean_over, MEANS)
        self.weight = weight
        self.label_smoothing = label_smoothing
        self.mean_over = mean_over

    def forward(self, made: ForwardPass) -> dict[str, Tensor]:
        """The losses of one forward, ``{<task>: 0-d}`` of each head's task.

        Raises:
            ValueError: the neck foresees nothing, or a sample has no labels of its
                moments.
        """
        _foreseen(made)
        losses = {}
        for task, logits in made.past_logits.items():
            target = _targets(made.samples, task, logits.shape[1])
            target = target.repeat_interleave(made.views, 0)  # (b, t)
            loss = F.cross_entropy(
                logits.flatten(0, 1).float(),
                target.flatten().to(logits.device),  # counted on the CPU, below
                ignore_index=_NONE,
                label_smoothing=self.label_smoothing,
                reduction="sum",
            )
            count = target.numel()
            if self.mean_over == "labelled":
                count = max(1, int((target != _NONE).sum()))
            losses[task] = self.weight * loss / count
        return losses


def _foreseen(made: ForwardPass) -> Foreseen:
    if made.foreseen is None:
        raise InputError(
            "the neck foresees nothing; expected one as FuturePredictor for a loss of"
            " anticipation"
        )
    return made.foreseen


def _targets(samples: Sequence[ActionDataSample], task: str, count: int) -> Tensor:
    """(b, t) int64 of the fields ``past_<task>``, -1 for a moment without a label."""
    for sample in samples:
        label = sample.get(_PAST + task)
        if label is None or label.shape != (count,):
            found = None if label is None else tuple(label.shape)
            raise InputError(
                f"sample {sample.metainfo.get('sample_id')!r} has {_PAST}{task}"
                f" {found}, expected ({count},): LabelObserved after"
                " SampleObservedFrames makes it, with past_seconds of the dataset"
            )
    return torch.stack([sample.get(_PAST + task) for sample in samples])
