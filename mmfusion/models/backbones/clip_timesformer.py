"""CLIP's ViT with divided space-time attention: LaViLa's TimeSformer.

Shapes: b clips, t frames, h w pixels, p patches per frame, l = t p tokens, d channels.
"""

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.backbones.clip_vit import (
    ARCHITECTURES,
    TEXT_TOWER,
    QuickGELU,
    embed_clip,
    num_patches,
)
from mmfusion.models.layers import Mlp, check_clip, clip_features, run_block
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import check_choice
from mmfusion.weights import PublishedWeights


class DividedAttention(BaseModule):
    """Attention inside one frame, or of one place through time; CLS sees everything.

    Each group of tokens attends to itself and to the CLS token; the CLS token attends
    to all tokens of the clip.
    """

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor, num_frames: int, over_time: bool) -> Tensor:
        """(b, 1 + t p, d) -> the same shape.

        Args:
            x: the CLS token, then patches frame by frame. num_frames: t.
            over_time: groups are the p places (True) or the t frames (False).
        """
        batch = len(x)
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (b, heads, 1 + l, d / heads)
        cls = F.scaled_dot_product_attention(q[:, :, :1], k, v)

        def grouped(value: Tensor) -> Tensor:
            """(b, heads, l, e) -> (b, heads, groups, members, e)."""
            value = value.unflatten(2, (num_frames, -1))
            return value.transpose(2, 3) if over_time else value

        def with_cls(value: Tensor) -> Tensor:
            groups = grouped(value[:, :, 1:])
            first = value[:, :, None, :1].expand(-1, -1, groups.shape[2], -1, -1)
            return torch.cat([first, groups], dim=3).flatten(0, 2)

        queries = grouped(q[:, :, 1:])
        shape = queries.shape
        mixed = F.scaled_dot_product_attention(
            queries.flatten(0, 2).unsqueeze(1),
            with_cls(k).unsqueeze(1),
            with_cls(v).unsqueeze(1),
        ).view(shape)
        mixed = (mixed.transpose(2, 3) if over_time else mixed).flatten(2, 3)
        mixed = torch.cat([cls, mixed], dim=2)  # (b, heads, 1 + l, e)
        return self.proj(mixed.transpose(1, 2).reshape(batch, x.shape[1], -1))


class SpaceTimeBlock(BaseModule):
    """Time, space, MLP, in the order of Frozen in Time (Bain et al., 2021).

    The space attention reads x + time(x), but its result is added to x itself.
    """

    def __init__(self, embed_dims: int, num_heads: int, drop_path_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = DividedAttention(embed_dims, num_heads)
        self.timeattn = DividedAttention(embed_dims, num_heads)
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate else nn.Identity()
        self.norm2 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.mlp = Mlp(embed_dims, QuickGELU)
        self.norm3 = nn.LayerNorm(embed_dims, eps=1e-6)

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """(b, 1 + t p, d) -> (b, 1 + t p, d)."""
        timed = x + self.timeattn(self.norm3(x), num_frames, True)
        x = x + self.drop_path(self.attn(self.norm1(timed), num_frames, False))
        return x + self.drop_path(self.mlp(self.norm2(x)))


PUBLISHED = PublishedWeights(
    marker=r"^visual\.",
    renames=((r"^visual\.", ""),),
    unused={TEXT_TOWER: "text tower and projections of the pretraining"},
    heads=(
        (r"^fc_cls\.(weight|bias)$", "action"),
        (r"^fc_cls\.0\.(weight|bias)$", "verb"),
        (r"^fc_cls\.1\.(weight|bias)$", "noun"),
        (r"^fc_cls\.2\.(weight|bias)$", "action"),
    ),
    space="pos_embed",
    time="temporal_embed",
    truncates_time=True,
)


@MODELS.register_module()
class CLIPTimeSformer(BaseModule):
    """LaViLa's video encoder (Zhao et al., CVPR 2023): TSF-B and TSF-L.

    CLIP's ViT whose blocks attend through time, then in space; QuickGELU. Parameters
    bear the published names. The time attention starts at zero (its output projection
    at one, as published), so that a fresh model equals CLIP frame by frame.

    Args:
        arch: ``base`` (TSF-B/16), ``large`` (TSF-L/14), or ``nano`` for CPUs.
        img_size: side of the square input in pixels. num_frames: frames of a clip.
        drop_path_rate: of the last block; rates grow linearly from 0.
        with_cp: recompute each block in the backward: less memory, more time.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads weights.

    Raises:
        ValueError: an unknown ``arch``, or a side that patches do not fill.

    Example:
        >>> import torch
        >>> model = CLIPTimeSformer(arch="nano", img_size=32, num_frames=2)
        >>> model(torch.randn(1, 3, 2, 32, 32)).tokens.shape
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
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("arch", arch, ARCHITECTURES)
        sizes = ARCHITECTURES[arch]
        patch, self.embed_dims = sizes["patch_size"], sizes["embed_dims"]
        places = 1 + num_patches(img_size, patch)
        self.input_shape = (3, num_frames, img_size, img_size)
        self.with_cp = with_cp
        width, depth = self.embed_dims, sizes["depth"]
        self.patch_embed = BaseModule()
        self.patch_embed.proj = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, places, width))
        self.temporal_embed = nn.Parameter(torch.zeros(1, num_frames, width))
        self.ln_pre = nn.LayerNorm(width, eps=1e-5)  # 1e-5 here, 1e-6 elsewhere
        rates = [drop_path_rate * index / (depth - 1) for index in range(depth)]
        self.blocks = ModuleList(
            SpaceTimeBlock(width, sizes["num_heads"], rate) for rate in rates
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        for block in self.blocks:
            nn.init.zeros_(block.timeattn.qkv.weight)
            nn.init.zeros_(block.timeattn.qkv.bias)
            nn.init.ones_(block.timeattn.proj.weight)
            nn.init.zeros_(block.timeattn.proj.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode clips (b, 3, t, h, w), normalised, of the size given at the start.

        The mask (b, t) travels with the tokens, attention does not use it. Tokens
        (b, t p, d) and cls (b, d) are after the last norm; see :func:`clip_features`.
        """
        check_clip(x, self.input_shape)
        times = x.shape[2]
        positions = self.pos_embed[0], self.temporal_embed[0]
        x = embed_clip(x, self.patch_embed.proj, self.cls_token[0, 0], *positions)
        x = self.ln_pre(x)  # (b, 1 + l, d)
        for block in self.blocks:
            x = run_block(block, self.with_cp, x, times)
        return clip_features(self.norm(x), mask, times)
