"""Features of joints beside their places: distances, motion, the pose of each hand.

Plain functions. Shapes: b clips, t frames, j joints of m hands one after the other,
c coordinates.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.utils.errors import InputError, check_choice


def check_skeleton(x: Tensor, mask: Tensor | None, shape: tuple[int, ...]) -> None:
    """Refuse joints or a mask that a model was not built for.

    Args:
        x: to be (b, t, j, c). mask: to be (b, t, j), or None. shape: (t, j, c).

    Raises:
        InputError: says what came and what was expected.
    """
    if tuple(x.shape[1:]) != shape:
        raise InputError(
            f"skeleton has shape {tuple(x.shape)}, expected (b, {str(shape)[1:]}"
        )
    if mask is not None and mask.shape != x.shape[:3]:
        raise InputError(
            f"skeleton_mask has shape {tuple(mask.shape)}, expected"
            f" {tuple(x.shape[:3])}"
        )


def check_sizes(num_joints: int, num_hands: int, in_channels: int) -> None:
    """Refuse numbers of joints that are not those of whole hands, or none.

    Raises:
        InputError: says what came and what was expected.
    """
    if num_hands < 1 or num_joints < 1 or num_joints % num_hands or in_channels < 1:
        raise InputError(
            f"num_joints={num_joints}, num_hands={num_hands},"
            f" in_channels={in_channels}: expected 1 or more of each, and a multiple"
            " of num_hands joints"
        )


def check_stem(
    parts: Sequence[str], known: Sequence[str], width: int, drop_rate: float
) -> None:
    """Refuse views that a stem does not know, or has twice, and sizes of no layer.

    Raises:
        InputError: says what came and what was expected.
    """
    for part in parts:
        check_choice("stem_parts", part, known)
    if not parts or len(set(parts)) < len(parts):
        raise InputError(f"stem_parts: got {list(parts)}; expected some, each once")
    if width < 1:
        raise InputError(f"stem_width: got {width}; expected 1 or more")
    if not 0 <= drop_rate < 1:
        raise InputError(f"stem_drop_rate: got {drop_rate}; expected 0 to under 1")


def fill_unseen(x: Tensor, mask: Tensor | None) -> Tensor:
    """Joints (b, t, j, c), unseen ones on the line between the sights before and after.

    Before its first sight a joint has the place of that, after its last one of that; a
    joint that is never seen in the clip is 0. What an unseen joint held is not read.

    Args:
        x: (b, t, j, c). mask: (b, t, j) bool, True where seen; None: all were.
    """
    if mask is None:
        return x
    times = mask.shape[1]
    now = torch.arange(times, dtype=x.dtype, device=x.device).view(1, -1, 1)
    before = _running_max(torch.where(mask, now, -1))  # (b, t, j)
    left = torch.where(mask, times - 1 - now, -1).flip(1)
    left = _running_max(left).flip(1)  # frames from the next sight to the end
    after = torch.where(left < 0, times, times - 1 - left)
    low = torch.where(before < 0, after, before).clamp(0, times - 1)
    high = torch.where(after >= times, before, after).clamp(0, times - 1)
    share = ((now - low) / (high - low).clamp(min=1)).clamp(0, 1)  # (b, t, j)
    x = torch.where(mask.unsqueeze(-1), x, 0)
    start, end = (
        x.gather(1, place.long().unsqueeze(-1).expand_as(x)) for place in (low, high)
    )
    return torch.lerp(start, end, share.unsqueeze(-1))


def _running_max(x: Tensor) -> Tensor:
    """(b, t, j) -> the greatest value so far; none is under -1. ONNX lacks cummax."""
    step = 1
    while step < x.shape[1]:
        x = torch.maximum(x, F.pad(x[:, :-step], (0, 0, step, 0), value=-1))
        step *= 2
    return x


def joint_distances(x: Tensor) -> Tensor:
    """Distances of all pairs of joints: (..., j, c) -> (..., j (j - 1) / 2).

    DD-Net's joint collection distances: they do not change where a skeleton is moved
    or turned. Their gradient is 0 where two joints are in one place.
    """
    count = x.shape[-2]
    first, second = torch.triu_indices(count, count, 1, device=x.device)
    if torch.compiler.is_exporting():  # ONNX lacks cdist
        return (x[..., first, :] - x[..., second, :]).pow(2).sum(-1).sqrt()
    exact = "donot_use_mm_for_euclid_dist"  # the other way loses small distances
    pairs = torch.cdist(x, x, compute_mode=exact).flatten(-2)
    return pairs.index_select(-1, first * count + second)


def joint_motion(x: Tensor, step: int = 1) -> Tensor:
    """Motion of each joint in ``step`` frames: (b, t, ...) -> the same shape.

    Frame i has the difference over the ``step`` frames around it; 0 at the ends, which
    lack some.
    """
    if x.shape[1] <= step:
        return torch.zeros_like(x)
    moved = x[:, step:] - x[:, :-step]  # (b, t - step, ...)
    before = (step + 1) // 2
    pad = [0, 0] * (x.ndim - 2) + [before, step - before]
    return F.pad(moved, pad)


def hand_centres(x: Tensor, ever: Tensor, num_hands: int) -> Tensor:
    """Middle of each hand's joints: (b, t, j, c) -> (b, t, m, c).

    Args:
        x: without gaps, see :func:`fill_unseen`. ever: (b, j) bool, joints that the
            clip has at all; a hand that has none lies at 0.
    """
    weight = ever.to(x.dtype).unflatten(1, (num_hands, -1))[:, None, :, :, None]
    hands = x.unflatten(2, (num_hands, -1))  # (b, t, m, j / m, c)
    return (hands * weight).sum(3) / weight.sum(3).clamp(min=1)
