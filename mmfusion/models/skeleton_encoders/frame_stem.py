"""Joints of one frame, and what moved since the frames before it, to one token.

Shapes: b clips, t frames, j joints of m hands one after the other, c coordinates, k
frames before that are remembered, f features of a frame, d channels.
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.models.layers import State
from mmfusion.models.skeleton_encoders.conv_unit import RowNorm
from mmfusion.models.skeleton_encoders.joint_features import (
    check_stem,
    hand_centres,
    joint_distances,
)
from mmfusion.models.skeleton_encoders.motion_stem import FARTHEST
from mmfusion.utils.errors import InputError

FRAME_PARTS = ("place", "pose", "motion", "distance")


class FrameStem(BaseModule):
    """The views of :class:`MotionStem` that need no later frame, and two layers.

    ``place``: the joints. ``pose``: each hand's joints from their own middle, in units
    of their own size in this frame. ``motion``: what each joint moved in each of
    ``steps`` frames. ``distance``: all pairs of joints of each hand, and of the hands'
    middles. A joint that is not seen has its last place, before its first sight 0; a
    flag says which. Every number is normalised by the statistics of training.

    Args:
        embed_dims: d. num_joints: j. num_hands: m. in_channels: c.
        parts: which of the views. steps: frames that a motion spans.
        width: channels of the hidden layer. drop_rate: of its channels, in [0, 1).
    """

    def __init__(
        self,
        embed_dims: int,
        *,
        num_joints: int,
        num_hands: int,
        in_channels: int = 3,
        parts: Sequence[str] = FRAME_PARTS,
        steps: Sequence[int] = (1, 2),
        width: int = 128,
        drop_rate: float = 0.1,
    ) -> None:
        super().__init__()
        check_stem(parts, FRAME_PARTS, width, drop_rate)
        if not steps or any(type(step) is not int or step < 1 for step in steps):
            raise InputError(f"stem_steps: got {list(steps)}; expected frames, 1 or up")
        self.num_hands, self.parts, self.steps = num_hands, tuple(parts), tuple(steps)
        own = num_joints // num_hands
        sizes = dict.fromkeys(FRAME_PARTS, num_joints * in_channels)
        sizes["motion"] *= len(self.steps)
        sizes["distance"] = (
            num_hands * own * (own - 1) // 2 + num_hands * (num_hands - 1) // 2
        )
        self.sizes = (num_joints, in_channels)
        self.norm = RowNorm(sum(sizes[part] for part in self.parts), affine=False)
        self.embed = nn.Sequential(
            nn.Linear(self.norm.num_features + num_joints, width, bias=False),
            RowNorm(width),
            nn.LeakyReLU(0.2),
            nn.Dropout(drop_rate),
            nn.Linear(width, embed_dims),
        )

    def allocate_state(self, batch_size: int) -> State:
        """Nothing seen: the last k frames' joints, (b, k, j, c), and which had been."""
        shape = (batch_size, max(self.steps), *self.sizes)
        places = next(self.embed.parameters()).new_zeros(shape)
        return {"stem.places": places, "stem.ever": places[..., 0].bool()}

    def forward(
        self, x: Tensor, mask: Tensor, came: Tensor, state: State
    ) -> tuple[Tensor, State]:
        """Tokens of frames that follow those of the state.

        Args:
            x: (b, t, j, c). mask: (b, t, j) bool, True where seen. came: (b, t) bool,
                frames that count in the statistics of training: the others come last.
            state: of the frames before.

        Returns:
            (b, t, d), and the state after the last frame.
        """
        places, ever = _held(x, mask, state)  # (b, k + t, j, c), (b, k + t, j)
        features = self._features(places, ever)[came]  # (n, f), n of the b t frames
        features = self.norm(features).clamp(-FARTHEST, FARTHEST)
        unseen = mask[came].to(x.dtype) - 1  # (n, j)
        embedded = self.embed(torch.cat([features, unseen], dim=-1))  # (n, d)
        tokens = embedded.new_zeros(*came.shape, embedded.shape[-1])
        tokens[came] = embedded
        k = max(self.steps)
        return tokens, {"stem.places": places[:, -k:], "stem.ever": ever[:, -k:]}

    def _features(self, places: Tensor, ever: Tensor) -> Tensor:
        """(b, k + t, j, c), (b, k + t, j) -> (b, t, f)."""
        k = max(self.steps)
        batch, times = places.shape[0], places.shape[1] - k
        now, known = places[:, k:], ever[:, k:]
        one = now.flatten(0, 1).unsqueeze(1)  # (b t, 1, j, c): each frame by itself
        centres = hand_centres(one, known.flatten(0, 1), self.num_hands)
        views = []
        for part in self.parts:
            if part == "place":
                view = now
            elif part == "pose":
                view = self._poses(one, centres, known.flatten(0, 1))
            elif part == "motion":
                view = torch.stack(
                    [_moved(places, ever, k, step) for step in self.steps], dim=2
                )
            else:
                hands = one.unflatten(2, (self.num_hands, -1))
                own = joint_distances(hands).flatten(1)
                view = torch.cat([own, joint_distances(centres).flatten(1)], dim=1)
            views.append(view.reshape(batch, times, -1))
        return torch.cat(views, dim=-1)

    def _poses(self, one: Tensor, centres: Tensor, known: Tensor) -> Tensor:
        """Each hand about its own middle, in its own size: (b t, 1, m, j / m, c)."""
        hands = one.unflatten(2, (self.num_hands, -1)) - centres.unsqueeze(3)
        hands = hands * known.unflatten(1, (self.num_hands, -1))[:, None, ..., None]
        size = hands.pow(2).sum(-1, keepdim=True).mean(3, keepdim=True).sqrt()
        return hands / size.clamp(min=1e-4)


def _held(x: Tensor, mask: Tensor, state: State) -> tuple[Tensor, Tensor]:
    """Places (b, k + t, j, c), unseen joints where they were last; and which are known.

    (b, k + t, j) is True from the first sight of a joint on; before it is 0.
    """
    places = torch.cat([state["stem.places"], x], dim=1)
    seen = torch.cat([state["stem.ever"], mask], dim=1)
    now = torch.arange(seen.shape[1], device=x.device).view(1, -1, 1)
    last = torch.where(seen, now, -1).cummax(1).values  # (b, k + t, j)
    held = places.gather(1, last.clamp(min=0).unsqueeze(-1).expand_as(places))
    ever = last >= 0
    return torch.where(ever.unsqueeze(-1), held, torch.zeros_like(held)), ever


def _moved(places: Tensor, ever: Tensor, k: int, step: int) -> Tensor:
    """Motion over ``step`` frames, 0 where a joint was not known then: (b, t, j, c)."""
    start, known = places[:, k - step : -step], ever[:, k - step : -step]
    return (places[:, k:] - start) * known.unsqueeze(-1)
