"""MixUp and CutMix: each clip of a batch is blended with another, and so its labels.

Shapes: b samples, v views, t frames, h w pixels.
"""

import math

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmfusion.registry import MODELS
from mmfusion.structures import ActionDataSample
from mmfusion.utils.errors import InputError


@MODELS.register_module()
class BatchMix(BaseModule):
    """Blend a batch with itself in reverse: the first clip with the last, and so on.

    One share and one kind are drawn for a batch (the defaults are AVION's recipe for
    EPIC-KITCHENS-100). A clip always keeps at least half of itself, which is no
    restriction: the clip that it is paired with is blended the other way round. What
    belongs to the larger share stays whole: its questions, skeleton and boxes; only
    the video is blended, because words and joints have no meaningful mean. Pairs in
    which a frame is missing are left alone.

    Each data sample gets ``own_share`` (0-d, in 0.5..1) and ``other_<task>``, the label
    of what was blended in; the recognizer makes soft targets of them. All draws come
    from PyTorch's global generator on the CPU, whose state the checkpoints hold.

    Args:
        mixup_alpha, cutmix_alpha: of the share's Beta(alpha, alpha); 0 turns it off.
        prob: how many batches are mixed. cutmix_prob: how many of those by CutMix,
            where both are on.

    Raises:
        ValueError: a probability outside 0..1, or both alphas are 0.
    """

    def __init__(
        self,
        mixup_alpha: float = 0.8,
        cutmix_alpha: float = 1.0,
        *,
        prob: float = 1.0,
        cutmix_prob: float = 0.5,
    ) -> None:
        super().__init__()
        if min(mixup_alpha, cutmix_alpha) < 0 or mixup_alpha == cutmix_alpha == 0:
            raise InputError(
                f"mixup_alpha={mixup_alpha}, cutmix_alpha={cutmix_alpha}: expected"
                " none below and not both 0"
            )
        if not (0 <= prob <= 1 and 0 <= cutmix_prob <= 1):
            raise InputError(f"prob={prob}, cutmix_prob={cutmix_prob}: expected 0..1")
        self.mixup_alpha, self.cutmix_alpha = mixup_alpha, cutmix_alpha
        self.prob = prob
        if mixup_alpha == 0 or cutmix_alpha == 0:
            cutmix_prob = float(mixup_alpha == 0)
        self.cutmix_prob = cutmix_prob

    def forward(self, data: dict) -> dict:
        """A batch with ``inputs`` video (b, v, 3, t, h, w) float -> the same, mixed."""
        inputs, samples = data["inputs"], data["data_samples"]
        draws = torch.rand(2)  # always two, whatever they decide
        if draws[0] >= self.prob:
            return data
        video = inputs["video"]
        own = torch.arange(len(video))
        mask = inputs.get("video_mask")
        if mask is not None:
            whole = mask.flatten(1).all(1).cpu()  # (b,)
            own = own[whole & whole.flip(0)]
        other = len(video) - 1 - own
        if draws[1] < self.cutmix_prob:
            blended, share = _cut(video, own, other, _draw(self.cutmix_alpha))
        else:
            share = _draw(self.mixup_alpha)
            blended = share * video[own] + (1 - share) * video[other]
        video = video.clone()
        video[own] = blended
        shares = torch.ones(len(video))
        shares[own] = share
        _label(samples, shares)
        return {**data, "inputs": {**inputs, "video": video}}


def _draw(alpha: float) -> float:
    """The share of the own clip, 0.5..1."""
    share = torch.distributions.Beta(alpha, alpha).sample().item()
    return max(share, 1 - share)


def _cut(
    video: Tensor, own: Tensor, other: Tensor, share: float
) -> tuple[Tensor, float]:
    """Paste one box of all frames; returns the clips and the share that is left.

    The box has the image's shape and area 1 - share, its centre is anywhere, and what
    reaches over the edge is cut off.
    """
    size = video.shape[-2:]
    centre = torch.rand(2).tolist()
    edges = []
    for place, length in zip(centre, size, strict=True):
        side = int(math.sqrt(1 - share) * length)  # down: the box is the smaller share
        low = int(place * length) - side // 2
        edges.append((max(low, 0), min(low + side, length)))
    (top, bottom), (left, right) = edges
    blended = video[own].clone()
    box = (..., slice(top, bottom), slice(left, right))
    blended[box] = video[other][box]
    area = (bottom - top) * (right - left) / (size[0] * size[1])
    return blended, 1 - area


def _label(samples: list[ActionDataSample], shares: Tensor) -> None:
    """Write each sample's share, and the labels of the one that it is paired with."""
    labels = [
        {task: sample.get(f"gt_{task}") for task in sample.tasks()}
        for sample in samples
    ]
    for sample, share, others in zip(samples, shares, labels[::-1], strict=True):
        sample.own_share = share
        for task, label in others.items():
            sample.set_field(label, f"other_{task}")
