"""SkeletonMamba: a stack of Mamba blocks over hand joints.

Shapes: b clips, t frames, j joints of all hands one after the other, c coordinates,
g groups of joints that become one token each, s = t / stem_pool frames of tokens,
l = s g tokens, d channels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.backbones.video_mamba import ARCHITECTURES
from mmfusion.models.layers import build_blocks, forward_blocks, init_vision_mamba
from mmfusion.models.skeleton_encoders.conv_unit import RowNorm
from mmfusion.models.skeleton_encoders.dd_net import DDNet
from mmfusion.models.skeleton_encoders.joint_features import (
    check_sizes,
    check_skeleton,
)
from mmfusion.models.skeleton_encoders.motion_stem import PARTS, MotionStem
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError, check_choice

TOKENS = ("frame", "hand", "joint")
STEMS = ("linear", "motion")
READOUTS = ("cls", "pool")
VOTES = ("scan", "stem", "dd_net")


class Readout(nn.Module):
    """A clip's vector from the mean and the greatest of its tokens.

    Args:
        d_model: d.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.proj = nn.Linear(2 * d_model, d_model, bias=False)
        self.norm = RowNorm(d_model)

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, l, d) -> (b, d)."""
        both = torch.cat([tokens.mean(1), tokens.amax(1)], dim=-1)  # (b, 2 d)
        return F.leaky_relu(self.norm(self.proj(both)), 0.2)


@MODELS.register_module()
class SkeletonMamba(BaseModule):
    """The skeleton encoder of paper A: VideoMamba's blocks over joint tokens.

    A token is a frame's joints (default), one hand's, or one joint's, with the flag
    that tells seen joints from unseen ones beside the coordinates: H2O's hand pose line
    has it too. Sizes are those of :class:`VideoMamba` (paper A, table 1).

    Args:
        arch: ``nano``, ``tiny``, ``small`` or ``middle``.
        num_joints: joints of all hands together. num_hands: hands (or persons).
        in_channels: coordinates of a joint. num_frames: frames of a clip.
        tokens: what becomes a token: ``frame``, ``hand`` or ``joint``.
        with_motion: put the difference to the frame before beside the coordinates.
        stem: how joints become tokens: ``linear``, paper A's, reads them as they are;
            ``motion`` is :class:`MotionStem`, which learns from a hundred clips: for
            tokens of a ``frame``, without ``with_motion``, which it has.
        stem_parts, stem_width, stem_pool, stem_drop_rate: as in :class:`MotionStem`.
        readout: the clip's vector: ``cls``, paper A's, is the CLS token; ``pool`` a
            layer on the mean and the greatest of the other tokens.
        votes: who gives the clip's vector, which is their mean, with a motion stem and
            a pooled readout: ``scan``, the tokens after the blocks; ``stem``, the
            tokens before them, a way past the scans; ``dd_net``, a narrow
            :class:`DDNet` beside both (none for a single joint). Each learns to say
            the class by itself (``votes`` of :class:`TokenFeatures`): a small ensemble.
        bidirectional: read frames from both ends, as VideoMamba does, with the CLS
            token in front; else the CLS token stands at the end, where it sees them.
        drop_rate, drop_path_rate, with_cp: as in :class:`VideoMamba`.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads weights.

    Example:
        >>> import torch
        >>> model = SkeletonMamba(arch="nano", num_frames=4)
        >>> model(torch.randn(1, 4, 42, 3)).tokens.shape
        torch.Size([1, 4, 64])
    """

    def __init__(
        self,
        arch: str = "tiny",
        *,
        num_joints: int = 42,
        num_hands: int = 2,
        in_channels: int = 3,
        num_frames: int = 32,
        tokens: str = "frame",
        with_motion: bool = False,
        stem: str = "linear",
        stem_parts: Sequence[str] = PARTS,
        stem_width: int = 32,
        stem_pool: int = 2,
        stem_drop_rate: float = 0.1,
        readout: str = "cls",
        votes: Sequence[str] = ("scan",),
        bidirectional: bool = True,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("arch", arch, ARCHITECTURES)
        check_choice("tokens", tokens, TOKENS)
        check_choice("stem", stem, STEMS)
        check_choice("readout", readout, READOUTS)
        check_sizes(num_joints, num_hands, in_channels)
        self.embed_dims: int = ARCHITECTURES[arch]["embed_dims"]
        self.depth: int = ARCHITECTURES[arch]["depth"]
        self.with_cp = with_cp
        self.input_shape = (num_frames, num_joints, in_channels)
        self.num_hands = num_hands
        self.with_motion = with_motion
        self.bidirectional = bidirectional
        self.groups = {"frame": 1, "hand": num_hands, "joint": num_joints}[tokens]
        self.pool = stem_pool if stem == "motion" else 1
        if stem == "motion" and (tokens != "frame" or with_motion):
            raise InputError(
                f"tokens={tokens!r}, with_motion={with_motion}: stem='motion' is for"
                " tokens='frame', and has motion of its own"
            )
        if self.pool < 1 or num_frames < 1 or num_frames % self.pool:
            raise InputError(
                f"num_frames={num_frames}, stem_pool={stem_pool}: expected 1 or more of"
                " each, and a multiple of stem_pool frames"
            )
        self.stem: MotionStem | None = None
        if stem == "motion":
            self.stem = MotionStem(
                self.embed_dims,
                num_joints=num_joints,
                num_hands=num_hands,
                in_channels=in_channels,
                parts=stem_parts,
                width=stem_width,
                pool=stem_pool,
                drop_rate=stem_drop_rate,
            )
        else:
            per_joint = in_channels * (2 if with_motion else 1) + 1  # + the flag
            self.joint_embed = nn.Linear(
                num_joints // self.groups * per_joint, self.embed_dims
            )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, self.embed_dims))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.groups, self.embed_dims))
        self.temporal_pos_embedding = nn.Parameter(
            torch.zeros(1, num_frames // self.pool, self.embed_dims)
        )
        self.pos_drop = nn.Dropout(drop_rate)
        blocks, self.drop_path = build_blocks(
            self.embed_dims,
            self.depth,
            bidirectional=bidirectional,
            drop_path_rate=drop_path_rate,
        )
        self.layers = ModuleList(blocks)
        self.norm_f = nn.RMSNorm(self.embed_dims, eps=1e-5)
        init_vision_mamba(self, self.depth, reset_dt=False)
        if stem == "linear":
            nn.init.kaiming_uniform_(self.joint_embed.weight, a=5**0.5)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.temporal_pos_embedding, std=0.02)
        self.readout = Readout(self.embed_dims) if readout == "pool" else None
        self._check_votes(votes)
        alone = num_joints == 1  # has no distances
        self.votes = [vote for vote in votes if vote != "dd_net" or not alone]
        if "stem" in self.votes:
            self.stem_readout = Readout(self.embed_dims)
        if "dd_net" in self.votes:
            self.dd_net = DDNet(
                3 * self.embed_dims // 2,
                num_joints=num_joints,
                num_hands=num_hands,
                in_channels=in_channels,
                num_frames=num_frames,
            )
            self.dd_net_proj = nn.Linear(self.dd_net.embed_dims, self.embed_dims)

    def _check_votes(self, votes: Sequence[str]) -> None:
        for vote in votes:
            check_choice("votes", vote, VOTES)
        if "scan" not in votes or len(set(votes)) < len(votes):
            raise InputError(
                f"votes: got {list(votes)}; expected 'scan' and others, each once"
            )
        if len(votes) > 1 and (self.readout is None or self.stem is None):
            raise InputError(
                f"votes={list(votes)}: expected stem='motion' and readout='pool' for"
                " others than 'scan'"
            )
        if "dd_net" in votes and self.input_shape[0] % 8:
            raise InputError(
                f"num_frames={self.input_shape[0]}: vote 'dd_net' halves the frames"
                " three times; expected a multiple of 8, or votes without it"
            )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode skeleton sequences.

        Args:
            x: (b, t, j, c). mask: (b, t, j) bool, False for a joint that was not seen
                (its coordinates are not read); None means that all were.

        Returns:
            tokens (b, s g, d), cls (b, d), mask (b, s g), False where a token has no
            seen joint, or None.

        Raises:
            ValueError: x or the mask has another size than the model was built for.
        """
        check_skeleton(x, mask, self.input_shape)
        batch = x.shape[0]
        joints, x = x, self._embed(x, mask)  # (b, s, g, d)
        x = x + self.pos_embed[:, None, 1:] + self.temporal_pos_embedding[:, :, None]
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(batch, -1, -1)
        before = x = x.flatten(1, 2)  # (b, s g, d)
        x = torch.cat([cls, x] if self.bidirectional else [x, cls], dim=1)
        x = forward_blocks(
            self.pos_drop(x), self.layers, self.norm_f, self.drop_path, self.with_cp
        )
        first = self.bidirectional
        cls, tokens = (x[:, 0], x[:, 1:]) if first else (x[:, -1], x[:, :-1])
        if self.readout is not None:
            cls = self.readout(tokens)
        votes = None
        if len(self.votes) > 1:
            votes = self._votes(cls, before, joints, mask)  # (b, n, d)
            cls = votes.mean(1)
        if mask is not None:
            mask = mask.reshape(batch, tokens.shape[1], -1).any(-1)  # (b, s g)
        votes = votes if self.training else None
        return TokenFeatures(tokens=tokens, cls=cls, mask=mask, votes=votes)

    def _votes(
        self, scan: Tensor, before: Tensor, joints: Tensor, mask: Tensor | None
    ) -> Tensor:
        """The blocks' vector (b, d), the tokens before them, and joints: (b, n, d)."""
        votes = [scan]
        if "stem" in self.votes:
            votes.append(self.stem_readout(before))
        if "dd_net" in self.votes:
            votes.append(self.dd_net_proj(self.dd_net(joints, mask).cls))
        return torch.stack(votes, dim=1)

    def _embed(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(b, t, j, c) and mask (b, t, j) or None -> (b, s, g, d)."""
        if self.stem is not None:
            return self.stem(x, mask).unsqueeze(2)
        seen = torch.ones_like(x[..., 0]) if mask is None else mask.to(x.dtype)
        return self.joint_embed(self._joint_features(x, seen))

    def _joint_features(self, x: Tensor, seen: Tensor) -> Tensor:
        """(b, t, j, c) and flags (b, t, j) -> (b, t, g, f), one row a token."""
        flag = seen.unsqueeze(-1)  # (b, t, j, 1)
        x = torch.where(flag > 0, x, torch.zeros_like(x))
        parts = [x, flag]
        if self.with_motion:
            both = flag[:, 1:] * flag[:, :-1]  # a step between two seen frames
            step = (x[:, 1:] - x[:, :-1]) * both
            parts.append(torch.cat([torch.zeros_like(x[:, :1]), step], dim=1))
        joints = torch.cat(parts, dim=-1)  # (b, t, j, c')
        return joints.reshape(*x.shape[:2], self.groups, -1)
