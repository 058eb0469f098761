"""A Vision Transformer of images, frame by frame: AVT's backbone.

Shapes: b clips, t frames, h w pixels, p patches of a frame, d channels.
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.backbones.clip_vit import ARCHITECTURES, num_patches
from mmfusion.models.layers import Mlp, check_clip, init_linear, run_block
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import check_choice

_EPS = 1e-6


class ImageAttention(BaseModule):
    """Attention of all tokens of an image, with timm's parameter names."""

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1 + p, d) -> the same."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v)  # (n, heads, 1 + p, d / heads)
        return self.proj(x.transpose(1, 2).flatten(2))


class ImageBlock(BaseModule):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.attn = ImageAttention(embed_dims, num_heads)
        self.norm2 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.mlp = Mlp(embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1 + p, d) -> the same."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(BaseModule):
    """Cut an image into patches by a convolution."""

    def __init__(self, embed_dims: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, embed_dims, patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, p, d)."""
        return self.proj(x).flatten(2).mT


@MODELS.register_module()
class FrameViT(BaseModule):
    """Read each frame by itself by an image ViT (Dosovitskiy et al., ICLR 2021).

    A frame's token is its CLS token after the last norm, as AVT-b takes it. Parameters
    bear timm's names: weights of ``vit_base_patch16_224`` and its ImageNet-21k form fit
    by ``dict(type='Pretrained', checkpoint=..., ignore=['head.', 'pre_logits.'])``.

    Args:
        arch: ``base`` or ``large`` (patches of 16 and 14), or ``nano`` for CPUs.
        img_size: side of the square frame in pixels. num_frames: t, frames of a clip.
        with_cp: recompute each block in the backward: less memory, more time.

    Raises:
        ValueError: an unknown ``arch``, or a side that patches do not fill.

    Example:
        >>> import torch
        >>> model = FrameViT(arch="nano", img_size=32, num_frames=3)
        >>> model(torch.randn(2, 3, 3, 32, 32)).tokens.shape
        torch.Size([2, 3, 64])
    """

    def __init__(
        self,
        arch: str = "base",
        *,
        img_size: int = 224,
        num_frames: int = 10,
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
        width = self.embed_dims
        self.patch_embed = PatchEmbed(width, patch)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, places, width))
        self.blocks = ModuleList(
            ImageBlock(width, sizes["num_heads"]) for _ in range(sizes["depth"])
        )
        self.norm = nn.LayerNorm(width, eps=_EPS)
        for parameter in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(parameter, std=0.02)
        self.blocks.apply(init_linear)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode clips (b, 3, t, h, w), normalised, of the size given at the start.

        Args:
            x: of ``input_shape``. mask: (b, t) bool, False for a frame that is not
                there, or None.

        Returns:
            tokens (b, t, d), one a frame; no cls; mask (b, t).
        """
        check_clip(x, self.input_shape)
        batch = x.shape[0]
        x = self.patch_embed(x.transpose(1, 2).flatten(0, 1))  # (b t, p, d)
        cls = self.cls_token.expand(len(x), -1, -1).to(x.dtype)
        x = torch.cat([cls, x], dim=1) + self.pos_embed
        for block in self.blocks:
            x = run_block(block, self.with_cp, x)
        return TokenFeatures(self.norm(x[:, 0]).unflatten(0, (batch, -1)), None, mask)
