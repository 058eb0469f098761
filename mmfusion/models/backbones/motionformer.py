"""Motionformer: a ViT on clips whose attention follows places through time.

Shapes: b clips, t times (frames / 2), p patches of a time, l = t p tokens, d channels,
e channels of a head.
"""

from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.layers import (
    Mlp,
    check_clip,
    clip_features,
    init_linear,
    run_block,
)
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError, check_choice
from mmfusion.weights import PublishedWeights

ARCHITECTURES = {
    "nano": dict(embed_dims=64, depth=3, num_heads=4),
    "base": dict(embed_dims=768, depth=12, num_heads=12),
}
PATCH_SIZE, TUBELET_SIZE = 16, 2
_POSITIONS = 14  # the side of the grid of positions in the published weights


class TrajectoryAttention(BaseModule):
    """Attention along probabilistic paths (Patrick et al., NeurIPS 2021, eq. 2 to 5).

    Each token first attends to each time alone, which gives its trajectory: one token a
    time. It then attends along its trajectory. The CLS token attends to everything.

    Args:
        embed_dims: channels. num_heads: heads.
        published: take the trajectory itself as the values of the second step, as the
            released code does and all released weights expect; False projects it, as
            the paper has it.
    """

    def __init__(self, embed_dims: int, num_heads: int, published: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.published = published
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj_q = nn.Linear(embed_dims, embed_dims)
        self.proj_kv = nn.Linear(embed_dims, 2 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def _heads(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., heads, e)."""
        return x.unflatten(-1, (self.num_heads, -1))

    def forward(self, x: Tensor, times: int) -> Tensor:
        """(b, 1 + t p, d) -> the same; the CLS token is in front. times: t."""
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.follow(q, k, v, times)

    def follow(self, q: Tensor, k: Tensor, v: Tensor, times: int) -> Tensor:
        """Attend to each time, then along the paths; the CLS token in front of each.

        Args:
            q: (b, 1 + l, d), l = t p tokens by time. k, v: (b, 1 + t n, d).

        Returns:
            (b, 1 + l, d).
        """
        q, k, v = (self._heads(y).transpose(1, 2) for y in (q, k, v))
        cls = F.scaled_dot_product_attention(q[:, :, :1], k, v)  # (b, heads, 1, e)
        cls = cls.transpose(1, 2).flatten(2)  # (b, 1, d)
        k, v = (y[:, :, 1:].unflatten(2, (times, -1)) for y in (k, v))
        q = q[:, :, 1:].unsqueeze(2).expand(-1, -1, times, -1, -1)
        paths = F.scaled_dot_product_attention(q, k, v)  # (b, heads, t, l, e)
        paths = paths.permute(0, 3, 2, 1, 4).flatten(3)  # (b, l, t, d)
        y = self._along(paths, times)  # (b, l, d)
        return self.proj(torch.cat([cls, y], dim=1))

    def _along(self, paths: Tensor, times: int) -> Tensor:
        """Attend along each trajectory: (b, l, t, d) -> (b, l, d)."""
        own = paths.unflatten(1, (times, -1)).diagonal(dim1=1, dim2=3)  # (b, p, d, t)
        own = own.permute(0, 3, 1, 2).flatten(1, 2)  # (b, l, d): at the token's time
        q = self._heads(self.proj_q(own))  # (b, l, heads, e)
        k, v = self.proj_kv(paths).chunk(2, dim=-1)
        k, v = self._heads(k), self._heads(paths if self.published else v)
        weight = torch.einsum("blhe,blthe->blht", q * q.shape[-1] ** -0.5, k)
        mixed = torch.einsum("blht,blthe->blhe", weight.softmax(-1), v)
        return mixed.flatten(2)


class TrajectoryBlock(BaseModule):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(
        self, embed_dims: int, num_heads: int, drop_path_rate: float, published: bool
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = TrajectoryAttention(embed_dims, num_heads, published)
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate else nn.Identity()
        self.norm2 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.mlp = Mlp(embed_dims)

    def forward(self, x: Tensor, times: int) -> Tensor:
        """(b, 1 + t p, d) -> the same."""
        x = x + self.drop_path(self.attn(self.norm1(x), times))
        return x + self.drop_path(self.mlp(self.norm2(x)))


# 14 x 14 positions whatever the input: the model itself resizes them
PUBLISHED = PublishedWeights(
    unused={r"^patch_embed\.proj\.": "the image model's 2-D patches, never used"},
    heads=(
        (r"^head\.(weight|bias)$", "action"),
        (r"^head0\.(weight|bias)$", "verb"),
        (r"^head1\.(weight|bias)$", "noun"),
    ),
    time="temp_embed",
)


@MODELS.register_module()
class Motionformer(BaseModule):
    """Motionformer (Patrick et al., NeurIPS 2021) with the published parameter names.

    Patches are 2 frames deep. Positions in a frame and in time are separate; the
    published weights hold 14 x 14 positions, which are interpolated in every forward
    when the input is not 224 px, as the released code does.

    Args:
        arch: ``base`` (published), or ``nano`` for CPUs.
        img_size: side of the square input in pixels. num_frames: frames of a clip.
        drop_path_rate: of the last block; rates grow linearly from 0.
        published_attention: keep the released code's values of the second attention
            step, for which its weights were trained.
        with_cp: recompute each block in the backward: less memory, more time.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads weights.

    Raises:
        ValueError: an unknown ``arch``, or sides that patches do not fill.

    Example:
        >>> import torch
        >>> model = Motionformer(arch="nano", img_size=32, num_frames=4)
        >>> model(torch.randn(1, 3, 4, 32, 32)).tokens.shape
        torch.Size([1, 8, 64])
    """

    published_weights = PUBLISHED

    def __init__(
        self,
        arch: str = "base",
        *,
        img_size: int = 224,
        num_frames: int = 16,
        drop_path_rate: float = 0.0,
        published_attention: bool = True,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("arch", arch, ARCHITECTURES)
        fits = img_size % PATCH_SIZE == 0 == num_frames % TUBELET_SIZE
        if not fits or min(img_size, num_frames) < 1:
            raise InputError(
                f"img_size={img_size} must be a multiple of {PATCH_SIZE}, and"
                f" num_frames={num_frames} of {TUBELET_SIZE}"
            )
        self.embed_dims = width = ARCHITECTURES[arch]["embed_dims"]
        depth, heads = ARCHITECTURES[arch]["depth"], ARCHITECTURES[arch]["num_heads"]
        self.num_heads = heads
        self.input_shape = (3, num_frames, img_size, img_size)
        self.times, self.grid = num_frames // TUBELET_SIZE, img_size // PATCH_SIZE
        self.with_cp = with_cp
        size = (TUBELET_SIZE, PATCH_SIZE, PATCH_SIZE)
        self.patch_embed_3d = BaseModule()
        self.patch_embed_3d.proj = nn.Conv3d(3, width, size, stride=size)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + _POSITIONS**2, width))
        self.temp_embed = nn.Parameter(torch.zeros(1, self.times, width))
        rates = [drop_path_rate * index / (depth - 1) for index in range(depth)]
        self.blocks = ModuleList(
            TrajectoryBlock(width, heads, rate, published_attention) for rate in rates
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pre_logits = BaseModule()
        self.pre_logits.fc = nn.Linear(width, width)
        for value in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(value, std=0.02)
        self.apply(init_linear)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode clips (b, 3, 2 t, h, w), normalised, of the size given at the start.

        The mask (b, 2 t) travels with the tokens, attention does not use it. Tokens
        (b, t p, d) and cls (b, d) are those after the last norm and the layer with tanh
        that the published heads read; see :func:`clip_features`.
        """
        return self.encode(x, mask, [])

    def encode(
        self, x: Tensor, mask: Tensor | None, per_block: list[tuple[Any, ...]]
    ) -> TokenFeatures:
        """``forward`` with further arguments for each block, () where none."""
        check_clip(x, self.input_shape)
        x = self._embed(x)  # (b, 1 + l, d)
        for index, block in enumerate(self.blocks):
            more = per_block[index] if per_block else ()
            x = run_block(block, self.with_cp, x, self.times, *more)
        x = torch.tanh(self.pre_logits.fc(self.norm(x)))
        return clip_features(x, mask, self.times)

    def _embed(self, x: Tensor) -> Tensor:
        """(b, 3, t, h, w) -> (b, 1 + l, d), the CLS token in front."""
        patches = self.patch_embed_3d.proj(x).flatten(3).permute(0, 2, 3, 1)
        space = self.pos_embed[:, 1:]
        if self.grid != _POSITIONS:
            table = space.mT.unflatten(2, (_POSITIONS, _POSITIONS))  # (1, d, 14, 14)
            size = (self.grid, self.grid)
            table = F.interpolate(table, size, mode="bicubic")
            space = table.flatten(2).mT  # (1, p, d)
        patches = patches + space.unsqueeze(1) + self.temp_embed.unsqueeze(2)
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
        return torch.cat([cls.to(patches.dtype), patches.flatten(1, 2)], dim=1)
