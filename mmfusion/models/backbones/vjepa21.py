"""V-JEPA 2.1: a Vision Transformer of tubes whose positions are rotations.

Shapes: b clips, f frames, t = f / 2 times, h w rows and columns of patches, l = t h w
tokens, d channels, c channels of a head.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.backbones.clip_vit import num_patches
from mmfusion.models.layers import Mlp, check_clip, init_linear, run_block
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError, check_choice
from mmfusion.weights import PublishedWeights

# levels: blocks that a norm of their own follows, counted from 0
_TWELFTH = (2, 5, 8, 11)
ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "nano": dict(width=32, heads=2, hidden=128, levels=_TWELFTH),
    "base": dict(width=768, heads=12, hidden=3072, levels=_TWELFTH),
    "large": dict(width=1024, heads=16, hidden=4096, levels=(5, 11, 17, 23)),
    "giant": dict(width=1408, heads=22, hidden=6144, levels=(9, 19, 29, 39)),
    "gigantic": dict(width=1664, heads=26, hidden=8192, levels=(11, 23, 37, 47)),
}
_EPS = 1e-6
_PATCH, _TUBE = 16, 2  # pixels and frames of a patch
_TRAINED_SIDE = 16  # patches of a side whose positions the rotations have
_BASE = 10_000.0

PUBLISHED = PublishedWeights(
    marker=r"(^|\.)norms_block\.",
    renames=((r"^(module\.)?backbone\.", ""), (r"^module\.", "")),
    unused={r"(^|\.)(patch_embed_img\.|img_mod_embed$)": "patches of single images"},
)


class TubeAttention(BaseModule):
    """Attention of all tubes of a clip, queries and keys rotated by their places."""

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(b, l, d) and the rotations (l, c) -> (b, l, d)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (b, heads, l, c)
        q, k = (rotate(one, cos, sin) for one in (q, k))
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).flatten(2))


class TubeBlock(BaseModule):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, embed_dims: int, num_heads: int, hidden_dims: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.attn = TubeAttention(embed_dims, num_heads)
        self.norm2 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.mlp = Mlp(embed_dims, hidden_dims=hidden_dims)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(b, l, d) and the rotations (l, c) -> (b, l, d)."""
        x = x + self.attn(self.norm1(x), cos, sin)
        return x + self.mlp(self.norm2(x))


class TubeEmbed(BaseModule):
    """Cut a clip into tubes of 2 frames and 16 pixels by a convolution."""

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        kernel = (_TUBE, _PATCH, _PATCH)
        self.proj = nn.Conv3d(3, embed_dims, kernel, stride=kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, f, height, width) -> (b, l, d)."""
        return self.proj(x).flatten(2).mT


@MODELS.register_module()
class VJEPA21(BaseModule):
    """V-JEPA 2.1's encoder (arXiv 2603.14482), for the authors' files.

    It differs from V-JEPA 2, which :class:`HFVideoEncoder` has: each channel pair is
    rotated by its own angle, positions in a frame are scaled to those of 256 pixels, a
    vector marks videos, and four levels have norms. Files of the encoder fit by
    ``dict(type='Pretrained', checkpoint=..., container='ema_encoder')``, those of giant
    and gigantic by ``container='target_encoder'``. Single images are not read: the
    weights for them, and the predictor, are left.

    Args:
        arch: ``base``, ``large``, ``giant`` or ``gigantic``; ``nano`` for CPUs.
        img_size: side of the square input in pixels, a multiple of 16, 32 or more.
        num_frames: f, even.
        num_levels: 1, the last block's tokens, or 4: those of the four levels side by
            side, 4 d channels.
        with_cp: recompute each block in the backward: less memory, more time.

    Raises:
        ValueError: an unknown ``arch``, or sizes that patches do not fill.

    Example:
        >>> import torch
        >>> model = VJEPA21("nano", img_size=32, num_frames=4, num_levels=4)
        >>> model(torch.randn(2, 3, 4, 32, 32)).tokens.shape
        torch.Size([2, 8, 128])
    """

    published_weights = PUBLISHED

    def __init__(
        self,
        arch: str = "base",
        *,
        img_size: int = 384,
        num_frames: int = 16,
        num_levels: int = 1,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("arch", arch, ARCHITECTURES)
        check_choice("num_levels", num_levels, (1, 4))
        side = round(num_patches(img_size, _PATCH) ** 0.5)
        if side < 2 or num_frames % _TUBE or num_frames < _TUBE:
            raise InputError(
                f"img_size is {img_size} and num_frames {num_frames}, expected 32 or"
                " more and an even number"
            )
        told = ARCHITECTURES[arch]
        width, self.levels = told["width"], told["levels"]
        self.num_levels, self.with_cp = num_levels, with_cp
        self.embed_dims: int = num_levels * width
        self.input_shape = (3, num_frames, img_size, img_size)
        self.patch_embed = TubeEmbed(width)
        self.video_mod_embed = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = ModuleList(
            TubeBlock(width, told["heads"], told["hidden"])
            for _ in range(self.levels[-1] + 1)
        )
        self.norms_block = ModuleList(
            nn.LayerNorm(width, eps=_EPS) for _ in self.levels
        )
        self.norms_block[:-num_levels].requires_grad_(False)  # they are not used
        self.blocks.apply(init_linear)
        angles = place_angles(num_frames // _TUBE, side, width // told["heads"])
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode clips (b, 3, f, height, width), normalised, of the size given.

        Args:
            x: of ``input_shape``. mask: (b, f) bool, False for a frame that is not
                there, or None; it travels with the tokens, the model does not read it.

        Returns:
            tokens (b, l, d) by time, then place; no cls; mask (b, l) or None.

        Raises:
            ValueError: another shape.
        """
        check_clip(x, self.input_shape)
        if mask is not None:
            times = mask.unflatten(1, (-1, _TUBE)).any(-1)  # (b, t)
            mask = times.repeat_interleave(len(self.cos) // times.shape[1], dim=1)
        x = self.patch_embed(x) + self.video_mod_embed  # (b, l, d)
        found = []
        for number, block in enumerate(self.blocks):
            x = run_block(block, self.with_cp, x, self.cos, self.sin)
            if number in self.levels[-self.num_levels :]:
                norm = self.norms_block[self.levels.index(number)]
                found.append(norm(x))
        return TokenFeatures(torch.cat(found, dim=-1), None, mask)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair of channels (x1, x2) to (x1 cos - x2 sin, x2 cos + x1 sin).

    Args:
        x: (b, heads, l, c). cos, sin: (l, c) of the angles.
    """
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)  # each (..., c / 2)
    turned = torch.stack([-second, first], dim=-1).flatten(-2)
    return x * cos.to(x.dtype) + turned * sin.to(x.dtype)


def place_angles(times: int, side: int, dims: int) -> Tensor:
    """Angles (l, c) of l = times side^2 places: time, row and column have a third each.

    A third has an even number of channels; those that are left over stand still. Rows
    and columns go from 0 to 15, whatever their number; pairs turn by powers of 1/10000.
    """
    third = 2 * (dims // 3 // 2)
    rates = 1.0 / _BASE ** (torch.arange(third // 2) / (third / 2.0))
    rows = torch.arange(side) * 1.0 * (_TRAINED_SIDE - 1) / (side - 1)
    places = torch.cartesian_prod(torch.arange(times) * 1.0, rows, rows)  # (l, 3)
    turned = (places.unsqueeze(-1) * rates).repeat_interleave(2, dim=-1)  # (l, 3, c/3)
    return F.pad(turned.flatten(1), (0, dims - 3 * third))  # (l, c)
