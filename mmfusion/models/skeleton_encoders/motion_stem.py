"""Frames of joints to tokens, by what does not depend on place and scale.

Shapes: b clips, t frames, j joints of m hands one after the other, c coordinates,
f features of a frame, d channels.
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule, ModuleDict
from torch import Tensor, nn

from mmfusion.models.skeleton_encoders.conv_unit import ConvUnit, RowNorm
from mmfusion.models.skeleton_encoders.joint_features import (
    check_stem,
    fill_unseen,
    hand_centres,
    joint_distances,
    joint_motion,
)
from mmfusion.utils.errors import InputError

PARTS = ("place", "pose", "slow", "fast", "distance")
FARTHEST = 8.0  # deviations; what training hardly moved may move in testing
MOST_TOGETHER = 32  # joints of which all pairs count; of more, the pairs of each hand


class MotionStem(BaseModule):
    """Embed several views of the joints apart, join them, and halve the frames.

    ``place``: the joints, and which of them were not seen. ``pose``: each hand's
    joints from their own middle, in units of their own size. ``slow``, ``fast``: motion
    over one and two frames. ``distance``: all pairs of joints, DD-Net's (arXiv
    1907.09658), or with more than 32 joints the pairs of each hand and the hands'
    middles (a single joint has none). Each is normalised by the statistics of training,
    so that units do not matter, and read by convolutions over time. Unseen joints are
    interpolated first.

    Args:
        embed_dims: d. num_joints: joints of all hands together. num_hands: m.
        in_channels: c. parts: which of the views.
        width: channels of each view. pool: frames of a token, 1 or more.
        drop_rate: of whole channels, in [0, 1).
    """

    def __init__(
        self,
        embed_dims: int,
        *,
        num_joints: int,
        num_hands: int,
        in_channels: int = 3,
        parts: Sequence[str] = PARTS,
        width: int = 32,
        pool: int = 2,
        drop_rate: float = 0.1,
    ) -> None:
        super().__init__()
        check_stem(parts, PARTS, width, drop_rate)
        self.num_hands = num_hands
        self.together = num_joints <= MOST_TOGETHER or num_hands == 1
        sizes = dict.fromkeys(PARTS, num_joints * in_channels)
        sizes["distance"] = self._num_pairs(num_joints)
        flags = {"place": num_joints}
        self.parts = tuple(part for part in parts if sizes[part])
        if not self.parts:
            raise InputError(
                f"stem_parts: got {list(parts)}; expected another one for a single"
                " joint, which has no distance"
            )
        self.norms = ModuleDict(
            {part: RowNorm(sizes[part], affine=False) for part in self.parts}
        )
        self.embeds = ModuleDict(
            {
                part: nn.Sequential(
                    ConvUnit(sizes[part] + flags.get(part, 0), 2 * width, 1),
                    nn.Dropout1d(drop_rate),
                    ConvUnit(2 * width, width, 3),
                    nn.Dropout1d(drop_rate),
                    ConvUnit(width, width, 1),
                )
                for part in self.parts
            }
        )
        self.join = nn.Sequential(
            ConvUnit(width * len(self.parts), embed_dims, 3),
            nn.MaxPool1d(pool) if pool > 1 else nn.Identity(),
            nn.Dropout1d(drop_rate),
            nn.Conv1d(embed_dims, embed_dims, 1),
        )

    def _num_pairs(self, joints: int) -> int:
        groups, hands = (1, 0) if self.together else (self.num_hands, self.num_hands)
        own = joints // groups
        return groups * own * (own - 1) // 2 + hands * (hands - 1) // 2

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(b, t, j, c) and mask (b, t, j) or None -> tokens (b, t / pool, d)."""
        views = self.views(x, mask)
        embedded = []
        for part in self.parts:
            view = self.norms[part](views[part].transpose(1, 2))  # (b, f, t)
            view = view.clamp(-FARTHEST, FARTHEST)
            if part == "place":
                unseen = torch.zeros_like(x[..., 0]) if mask is None else mask.to(x) - 1
                view = torch.cat([view, unseen.transpose(1, 2)], dim=1)
            embedded.append(self.embeds[part](view))
        return self.join(torch.cat(embedded, dim=1)).transpose(1, 2)

    def views(self, x: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Parts that are embedded, (b, t, f) each."""
        ever = torch.ones_like(x[:, 0, :, 0]) if mask is None else mask.any(1).to(x)
        x = fill_unseen(x, mask)
        centres = hand_centres(x, ever, self.num_hands)  # (b, t, m, c)
        views = {
            "place": x,
            "pose": self._poses(x, centres, ever),
            "slow": joint_motion(x, 1),
            "fast": joint_motion(x, 2),
        }
        views = {name: view.flatten(2) for name, view in views.items()}
        views["distance"] = self._distances(x, centres)
        return views

    def _poses(self, x: Tensor, centres: Tensor, ever: Tensor) -> Tensor:
        """Each hand about its own middle, in its own size: (b, t, m, j / m, c)."""
        hands = x.unflatten(2, (self.num_hands, -1)) - centres.unsqueeze(3)
        weight = ever.unflatten(1, (self.num_hands, -1))[:, None, :, :, None]
        hands = hands * weight
        size = hands.pow(2).sum(-1, keepdim=True).mean((1, 3), keepdim=True).sqrt()
        return hands / size.clamp(min=1e-4)

    def _distances(self, x: Tensor, centres: Tensor) -> Tensor:
        """(b, t, pairs)."""
        if self.together:
            return joint_distances(x)
        own = joint_distances(x.unflatten(2, (self.num_hands, -1))).flatten(2)
        return torch.cat([own, joint_distances(centres)], dim=-1)
