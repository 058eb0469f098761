"""VideoMamba: one bidirectional scan over all space-time tokens of a clip.

Shapes: b clips, t frames, h w pixels, p patches per frame, l = t p tokens, d channels.
"""

import math
from dataclasses import replace

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.layers import (
    build_blocks,
    check_clip,
    clip_features,
    forward_blocks,
    init_vision_mamba,
)
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError, check_choice
from mmfusion.weights import PublishedWeights

# widths and depths of the published weights; paper A's 198 and 386 are misprints
ARCHITECTURES = {
    "nano": dict(embed_dims=64, depth=4),
    "tiny": dict(embed_dims=192, depth=24),
    "small": dict(embed_dims=384, depth=24),
    "middle": dict(embed_dims=576, depth=32),
    "base": dict(embed_dims=768, depth=24),  # images only
}


SUMMARIES = ("cls", "mean")


class PatchEmbed(BaseModule):
    """Cut a clip into patches of ``tubelet_size`` frames: (b, 3, t, h, w) -> tokens."""

    def __init__(self, embed_dims: int, patch_size: int, tubelet_size: int) -> None:
        super().__init__()
        size = (tubelet_size, patch_size, patch_size)
        self.proj = nn.Conv3d(3, embed_dims, kernel_size=size, stride=size)

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, t, h, w) -> (b, t', p, d), patches row by row."""
        return self.proj(x).flatten(3).permute(0, 2, 3, 1)  # (b, t', p, d)


PUBLISHED = PublishedWeights(
    renames=(
        (r"^(backbone|encoder)\.", ""),
        # masked pretraining calls its last norm so; the authors start it afresh
        (r"^norm\.", "norm_f."),
    ),
    unused={r"^clip_decoder\.|^clip_pos_embed$": "decoder of the masked pretraining"},
    heads=((r"^head\.(weight|bias)$", "action"),),
    space="pos_embed",
    time="temporal_pos_embedding",
    inflates="patch_embed.proj.weight",
    from_images=(r"^temporal_pos_embedding$",),
)


@MODELS.register_module()
class VideoMamba(BaseModule):
    """VideoMamba (Li et al., ECCV 2024) with the published parameter names.

    Tokens are ordered frame by frame, then row by row; one CLS token stands in front.
    Positions in a frame are shared by all frames and the CLS token has one of its own;
    positions in time belong to patch tokens only.

    Args:
        arch: ``tiny``, ``small``, ``middle`` (published), or ``nano`` for CPUs.
        img_size: side of the square input in pixels. patch_size: side of a patch.
        num_frames: frames of a clip. tubelet_size: frames of a patch.
        drop_rate: dropout on the tokens. drop_path_rate: of the last block.
        divide_out: halve the sum of the directions (Vim's weights).
        reset_dt: start delta as the published code does, at a memory of a few tokens;
            False keeps Mamba's own start, which learns faster from scratch.
        init_std: of linear layers, normal; None starts each by its own width, without
            which the scans of a narrow model pass next to nothing.
        summary: what stands for the clip: ``cls``, the CLS token, or ``mean``, the mean
            of its patches, which from the start sees every one of them.
        stem: config of what makes the patches, such as :class:`ConvStem`, which gets
            embed_dims, patch_size and tubelet_size; None is the published linear map.
        with_cp: recompute each block in the backward: less memory, more time.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads weights.

    Example:
        >>> import torch
        >>> model = VideoMamba(arch="nano", img_size=32, patch_size=16, num_frames=2)
        >>> model(torch.randn(1, 3, 2, 32, 32)).tokens.shape
        torch.Size([1, 8, 64])
    """

    published_weights = PUBLISHED

    def __init__(
        self,
        arch: str = "tiny",
        *,
        img_size: int = 224,
        patch_size: int = 16,
        num_frames: int = 8,
        tubelet_size: int = 1,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        divide_out: bool = False,
        reset_dt: bool = True,
        init_std: float | None = 0.02,
        summary: str = "cls",
        stem: dict | None = None,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("arch", arch, ARCHITECTURES)
        check_choice("summary", summary, SUMMARIES)
        if init_std is not None and not 0 < init_std < math.inf:
            raise InputError(f"init_std: got {init_std}; expected more than 0, or None")
        if img_size % patch_size or num_frames % tubelet_size:
            raise InputError(
                f"img_size={img_size} must be a multiple of patch_size={patch_size},"
                f" num_frames={num_frames} of tubelet_size={tubelet_size}"
            )
        self.embed_dims: int = ARCHITECTURES[arch]["embed_dims"]
        self.depth: int = ARCHITECTURES[arch]["depth"]
        self.with_cp, self.summary = with_cp, summary
        self.input_shape = (3, num_frames, img_size, img_size)
        patches = (img_size // patch_size) ** 2
        sizes = dict(
            embed_dims=self.embed_dims, patch_size=patch_size, tubelet_size=tubelet_size
        )
        self.patch_embed = PatchEmbed(**sizes) if stem is None else _stem(stem, sizes)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, self.embed_dims))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + patches, self.embed_dims))
        self.temporal_pos_embedding = nn.Parameter(
            torch.zeros(1, num_frames // tubelet_size, self.embed_dims)
        )
        self.pos_drop = nn.Dropout(drop_rate)
        blocks, self.drop_path = build_blocks(
            self.embed_dims,
            self.depth,
            bidirectional=True,
            drop_path_rate=drop_path_rate,
            divide_out=divide_out,
        )
        self.layers = ModuleList(blocks)
        self.norm_f = nn.RMSNorm(self.embed_dims, eps=1e-5)
        init_vision_mamba(self, self.depth, reset_dt, init_std)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode clips (b, 3, t, h, w), normalised, of the size given at the start.

        The mask (b, t) travels with the tokens, which are (b, t' p, d), beside the cls
        (b, d), which is what ``summary`` says; see :func:`clip_features`.
        """
        check_clip(x, self.input_shape)
        x = self.patch_embed(x)  # (b, t', p, d)
        batch, times = x.shape[:2]
        x = x + self.pos_embed[:, None, 1:] + self.temporal_pos_embedding[:, :, None]
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(batch, -1, -1)
        x = torch.cat([cls, x.flatten(1, 2)], dim=1)  # (b, 1 + t' p, d)
        x = forward_blocks(
            self.pos_drop(x), self.layers, self.norm_f, self.drop_path, self.with_cp
        )
        feats = clip_features(x, mask, times)
        if self.summary == "mean":
            feats.cls = replace(feats, cls=None).summary
        return feats


def _stem(config: dict, sizes: dict[str, int]) -> nn.Module:
    if not isinstance(config, dict) or "type" not in config:
        raise InputError(f"stem: got {config!r}; expected dict(type='ConvStem', ...)")
    taken = sorted(sizes.keys() & config.keys())
    if taken:
        raise InputError(
            f"stem: got {taken}, which the model gives it; leave them out of stem"
        )
    return MODELS.build({**config, **sizes})
