"""CLIP's ViT over a whole clip: joint space-time attention, as AVION trains it.

Shapes: b clips, t frames, h w pixels, p patches per frame, l = t p tokens, d channels.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.layers import (
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
    "nano": dict(embed_dims=64, depth=2, num_heads=4, patch_size=16),
    "base": dict(embed_dims=768, depth=12, num_heads=12, patch_size=16),
    "large": dict(embed_dims=1024, depth=24, num_heads=16, patch_size=14),
}


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x): OpenAI CLIP's approximation of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x * torch.sigmoid(1.702 * x)


_ACTIVATIONS = {"gelu": nn.GELU, "quick_gelu": QuickGELU}


class SelfAttention(BaseModule):
    """Attention of all tokens to all tokens, with CLIP's parameter names."""

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dims, embed_dims))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dims))
        self.out_proj = nn.Linear(embed_dims, embed_dims)
        nn.init.trunc_normal_(self.in_proj_weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(b, l, d) -> (b, l, d)."""
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        qkv = qkv.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)  # (b, heads, l, d / heads) each
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class ResidualAttentionBlock(BaseModule):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(
        self, embed_dims: int, num_heads: int, act: str, drop_path_rate: float
    ) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = SelfAttention(embed_dims, num_heads)
        self.ln_2 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(embed_dims, 4 * embed_dims),
                gelu=_ACTIVATIONS[act](),
                c_proj=nn.Linear(4 * embed_dims, embed_dims),
            )
        )
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(b, l, d) -> (b, l, d)."""
        x = x + self.drop_path(self.attn(self.ln_1(x)))
        return x + self.drop_path(self.mlp(self.ln_2(x)))


# what CLIP's pretraining holds beside the video encoder
TEXT_TOWER = (
    r"^(textual|transformer|token_embedding|ln_final|positional_embedding)\b"
    r"|^(logit_scale|text_projection|image_projection)$|^visual\.(image_projection|proj)$"
)
PUBLISHED = PublishedWeights(
    marker=r"^visual\.",
    renames=(
        (r"^visual\.", ""),
        # the layout of flash-attn; Wqkv is stacked row by row like in_proj
        (r"\.attn\.Wqkv\.(weight|bias)$", r".attn.in_proj_\1"),
        (r"\.mlp\.fc1\.", ".mlp.c_fc."),
        (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    ),
    unused={TEXT_TOWER: "text tower and projections of the pretraining"},
    heads=((r"^fc_cls\.(weight|bias)$", "action"),),
    space="positional_embedding",
    time="temporal_embedding",
    truncates_time=True,
    flattened="conv1.weight",
)


def num_patches(img_size: int, patch_size: int) -> int:
    """Patches of a square frame; ValueError where they do not fill it."""
    if img_size % patch_size or img_size < 1:
        raise InputError(
            f"img_size is {img_size}, expected a multiple of {patch_size}, the side of"
            " a patch"
        )
    return (img_size // patch_size) ** 2


def embed_clip(
    x: Tensor, patch: nn.Conv2d, cls: Tensor, space: Tensor, time: Tensor
) -> Tensor:
    """Cut a clip into patches, frame by frame, with the CLS token in front.

    Args:
        x: (b, 3, t, h, w). cls: (d,). space: (1 + p, d), the CLS token's position
            first. time: (t, d).

    Returns:
        (b, 1 + t p, d).
    """
    batch, times = x.shape[0], x.shape[2]
    patches = patch(x.transpose(1, 2).flatten(0, 1))  # (b t, d, h', w')
    patches = patches.flatten(2).mT.unflatten(0, (batch, times))  # (b, t, p, d)
    patches = patches + space[1:] + time[:, None]
    cls = (cls + space[0]).to(patches.dtype).expand(batch, 1, -1)  # (b, 1, d)
    return torch.cat([cls, patches.flatten(1, 2)], dim=1)


@MODELS.register_module()
class CLIPViT(BaseModule):
    """AVION's video encoder (Zhao and Kraehenbuehl, 2023): a CLIP ViT on clips.

    Every token of every frame attends to every other. Positions in a frame are shared
    by all frames, times by all patches of a frame; the CLS token has its spatial entry
    only. Parameters bear the names of CLIP's checkpoints; AVION's flash layout is
    renamed while loading.

    Args:
        arch: ``base`` (ViT-B/16), ``large`` (ViT-L/14), or ``nano`` for CPUs.
        img_size: side of the square input in pixels. num_frames: frames of a clip.
        act: ``gelu``, with which AVION trained; ``quick_gelu`` is OpenAI's. The wrong
            one costs accuracy without an error.
        drop_path_rate: the same for all blocks, as published.
        with_cp: recompute each block in the backward: less memory, more time.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads weights.

    Raises:
        ValueError: an unknown ``arch`` or ``act``, or sides that patches do not fill.

    Example:
        >>> import torch
        >>> model = CLIPViT(arch="nano", img_size=32, num_frames=2)
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
        act: str = "gelu",
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("arch", arch, ARCHITECTURES)
        check_choice("act", act, _ACTIVATIONS)
        sizes = ARCHITECTURES[arch]
        patch, self.embed_dims = sizes["patch_size"], sizes["embed_dims"]
        places = 1 + num_patches(img_size, patch)
        self.input_shape = (3, num_frames, img_size, img_size)
        self.with_cp = with_cp
        width = self.embed_dims
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(places, width))
        self.temporal_embedding = nn.Parameter(torch.zeros(num_frames, width))
        self.ln_pre = nn.LayerNorm(width, eps=1e-6)
        blocks = [
            ResidualAttentionBlock(width, sizes["num_heads"], act, drop_path_rate)
            for _ in range(sizes["depth"])
        ]
        self.transformer = BaseModule()
        self.transformer.resblocks = ModuleList(blocks)
        self.ln_post = nn.LayerNorm(width, eps=1e-6)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """AVION's start: normal 0.02 everywhere, biases zero."""
        nn.init.normal_(self.class_embedding, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.02)
        self.transformer.apply(init_linear)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode clips (b, 3, t, h, w), normalised, of the size given at the start.

        The mask (b, t) travels with the tokens, attention does not use it. Tokens
        (b, t p, d) and cls (b, d) are after the last norm; see :func:`clip_features`.
        """
        check_clip(x, self.input_shape)
        times = x.shape[2]
        positions = self.positional_embedding, self.temporal_embedding
        x = embed_clip(x, self.conv1, self.class_embedding, *positions)
        x = self.ln_pre(x)  # (b, 1 + l, d)
        for block in self.transformer.resblocks:
            x = run_block(block, self.with_cp, x)
        return clip_features(self.ln_post(x), mask, times)
