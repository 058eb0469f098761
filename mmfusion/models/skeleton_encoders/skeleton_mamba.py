"""SkeletonMamba: a stack of Mamba blocks over hand joints.

Shapes: b clips, t frames, j joints of all hands one after the other, c coordinates,
g groups of joints that become one token each, l = t g tokens, d channels.
"""

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.backbones.video_mamba import ARCHITECTURES
from mmfusion.models.layers import build_blocks, forward_blocks, init_vision_mamba
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError, check_choice

TOKENS = ("frame", "hand", "joint")


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
        bidirectional: bool = True,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("arch", arch, ARCHITECTURES)
        check_choice("tokens", tokens, TOKENS)
        if num_joints % num_hands:
            raise InputError(
                f"num_joints={num_joints} is not a multiple of num_hands={num_hands}"
            )
        self.embed_dims: int = ARCHITECTURES[arch]["embed_dims"]
        self.depth: int = ARCHITECTURES[arch]["depth"]
        self.with_cp = with_cp
        self.input_shape = (num_frames, num_joints, in_channels)
        self.num_hands = num_hands
        self.with_motion = with_motion
        self.bidirectional = bidirectional
        self.groups = {"frame": 1, "hand": num_hands, "joint": num_joints}[tokens]
        per_joint = in_channels * (2 if with_motion else 1) + 1  # + the flag
        self.joint_embed = nn.Linear(
            num_joints // self.groups * per_joint, self.embed_dims
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, self.embed_dims))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.groups, self.embed_dims))
        self.temporal_pos_embedding = nn.Parameter(
            torch.zeros(1, num_frames, self.embed_dims)
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
        nn.init.kaiming_uniform_(self.joint_embed.weight, a=5**0.5)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.temporal_pos_embedding, std=0.02)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode skeleton sequences.

        Args:
            x: (b, t, j, c). mask: (b, t, j) bool, False for a joint that was not seen
                (its coordinates are not read); None means that all were.

        Returns:
            tokens (b, t g, d), cls (b, d), mask (b, t g), False where a token has no
            seen joint, or None.

        Raises:
            ValueError: x or the mask has another size than the model was built for.
        """
        if tuple(x.shape[1:]) != self.input_shape:
            raise InputError(
                f"skeleton has shape {tuple(x.shape)}, expected"
                f" (b, *{self.input_shape})"
            )
        if mask is not None and mask.shape != x.shape[:3]:
            raise InputError(
                f"skeleton_mask has shape {tuple(mask.shape)}, expected"
                f" {tuple(x.shape[:3])}"
            )
        batch, times = x.shape[:2]
        seen = torch.ones_like(x[..., 0]) if mask is None else mask.to(x.dtype)
        x = self._joint_features(x, seen)  # (b, t, g, f)
        x = self.joint_embed(x)  # (b, t, g, d)
        x = x + self.pos_embed[:, None, 1:] + self.temporal_pos_embedding[:, :, None]
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(batch, -1, -1)
        x = x.flatten(1, 2)  # (b, t g, d)
        x = torch.cat([cls, x] if self.bidirectional else [x, cls], dim=1)
        x = forward_blocks(
            self.pos_drop(x), self.layers, self.norm_f, self.drop_path, self.with_cp
        )
        if mask is not None:
            mask = mask.reshape(batch, times * self.groups, -1).any(-1)  # (b, t g)
        if self.bidirectional:
            return TokenFeatures(tokens=x[:, 1:], cls=x[:, 0], mask=mask)
        return TokenFeatures(tokens=x[:, :-1], cls=x[:, -1], mask=mask)

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
