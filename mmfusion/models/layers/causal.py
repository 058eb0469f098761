"""Parts of models of one-directional time: lost frames, a fading mean, their state.

A state is a plain dict of tensors, each with the rows b in front, and of a size that
does not grow: it can be saved, and rows of it can be taken and put back.

Shapes: b rows, t frames in order of time, d channels.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.models.layers.mamba import MixerState
from mmfusion.utils.errors import InputError

State = dict[str, Tensor]


def pack_frames(seen: Tensor) -> Tensor:
    """Places of the frames that came, in order, then those of the others.

    Args:
        seen: (b, t) bool, False for a frame that was lost.

    Returns:
        (b, t') int64, t' the most frames that a row has (1 where none has any); on a
        GPU, which would be waited for, t' is t.
    """
    order = torch.argsort(seen.logical_not().to(torch.uint8), dim=1, stable=True)
    if not seen.is_cpu:
        return order
    return order[:, : max(1, int(seen.sum(1).amax()))]


def take_frames(x: Tensor, places: Tensor) -> Tensor:
    """Frames of (b, t, ...) at places (b, t') -> (b, t', ...)."""
    index = places.reshape(*places.shape, *[1] * (x.ndim - 2))
    return x.gather(1, index.expand(*places.shape, *x.shape[2:]))


def hold_frames(x: Tensor, seen: Tensor) -> Tensor:
    """Packed frames (b, t', ...) back at their times: a lost frame has the one before.

    Args:
        x: as :func:`pack_frames` orders it. seen: (b, t).

    Returns:
        (b, t, ...), 0 before the first frame that came.
    """
    last = seen.cumsum(1) - 1  # (b, t)
    held = take_frames(x, last.clamp(min=0))
    known = (last >= 0).reshape(*last.shape, *[1] * (x.ndim - 2))
    return torch.where(known, held, torch.zeros_like(held))


def keep_rows(seen: Tensor, new: Mapping[str, Tensor], old: State) -> State:
    """State with the new rows where ``seen`` (b,), else the old ones."""
    return {
        name: torch.where(seen.reshape(-1, *[1] * (x.ndim - 1)), new[name], x)
        for name, x in old.items()
    }


def mixer_states(states: Sequence[MixerState]) -> State:
    """States of blocks as a dict of tensors."""
    named: State = {}
    for index, state in enumerate(states):
        named[f"layers.{index}.conv"], named[f"layers.{index}.scan"] = state
    return named


def named_mixers(state: Mapping[str, Tensor], count: int) -> list[MixerState]:
    """States of ``count`` blocks out of what :func:`mixer_states` made."""
    return [
        MixerState(state[f"layers.{index}.conv"], state[f"layers.{index}.scan"])
        for index in range(count)
    ]


class FadingMean(BaseModule):
    """The mean of all frames so far, of which each weighs less than the next.

    y_i = s_i / w_i with s_i = a s_{i-1} + x_i and w_i = a w_{i-1} + 1, a in (0, 1) by
    channel, learned. Over one clip it is nearly the mean; in a stream, which has no
    end, what is long past is forgotten.

    Args:
        d_model: d. memory: frames after which a frame weighs 1/e, at the start.
    """

    def __init__(self, d_model: int, memory: float) -> None:
        super().__init__()
        if not 1 <= memory < math.inf:
            raise InputError(f"memory: got {memory}; expected 1 frame or more")
        keep = math.exp(-1 / memory)
        self.logit = nn.Parameter(torch.full((d_model,), math.log(keep / (1 - keep))))

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, d) -> (b, t, d), the mean after each frame."""
        keep = self.logit.sigmoid()
        total = torch.cat([x, torch.ones_like(x[:1])])  # the weights are a row more
        step = 1
        while step < x.shape[1]:  # sums of 2, 4, 8... frames
            shifted = nn.functional.pad(total[:, :-step], (0, 0, step, 0))
            total = total + keep**step * shifted
            step *= 2
        return total[:-1] / total[-1]

    def allocate_state(self, batch_size: int) -> State:
        """The state before the first frame, of which ``readout`` (b, d) is the mean."""
        zeros = self.logit.new_zeros(batch_size, len(self.logit))
        names = ("mean.total", "mean.weight", "readout")
        return {name: zeros.clone() for name in names}

    def step(self, x: Tensor, state: Mapping[str, Tensor]) -> State:
        """One frame (b, d), and the state after it."""
        keep = self.logit.sigmoid()
        total = keep * state["mean.total"] + x
        weight = keep * state["mean.weight"] + 1
        return {
            "mean.total": total,
            "mean.weight": weight,
            "readout": total / weight,
        }
