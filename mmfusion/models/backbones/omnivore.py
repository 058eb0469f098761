"""Omnivore's video encoder: a Swin Transformer over space and time.

Shapes: b clips, t frames, h w pixels, l tokens, d channels.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmfusion.models.backbones.mmaction_backbone import MMActionBackbone
from mmfusion.models.layers import check_clip
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError, check_choice
from mmfusion.weights import PublishedWeights

ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "nano": dict(embed_dims=16, depths=[2, 2, 2, 2], num_heads=[1, 2, 2, 4]),
    "tiny": dict(embed_dims=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24]),
    "small": dict(embed_dims=96, depths=[2, 2, 18, 2], num_heads=[3, 6, 12, 24]),
    "base": dict(embed_dims=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32]),
}
_WINDOW = {"tiny": (8, 7, 7), "small": (8, 7, 7)}
_LARGE_WINDOW = (16, 7, 7)

PUBLISHED = PublishedWeights(
    marker=r"^trunk\.",
    renames=((r"^trunk\.norm\.", "backbone.norm3."), (r"^trunk\.", "backbone.")),
    unused={
        r"^trunk\.depth_patch_embed\.": "patches of depth images",
        r"^heads\.(image|video|rgbd)\.": "the heads of the pretraining",
    },
    heads=((r"^heads\.1\.(weight|bias)$", "action"),),
)


@MODELS.register_module()
class Omnivore(MMActionBackbone):
    """Omnivore (Girdhar et al., CVPR 2022, arXiv 2201.08377), of its inputs the video.

    MMAction2's Video Swin, which gives the same numbers with the authors' weights of
    the same tensors. Their files (``trunk`` and ``heads``) fit as they are: a trunk by
    ``init_cfg``, with the head of EPIC-KITCHENS-100 by ``load_from``.

    Args:
        arch: ``base``; ``tiny`` and ``small``; ``nano`` for CPUs.
        img_size: side of the square input in pixels. num_frames: t, a multiple of 2.
        drop_path_rate: of the last block, rising evenly from 0.
        with_cp: recompute each block in the backward: less memory, more time.

    Raises:
        ValueError: an unknown ``arch``, or a size below 1.
    """

    published_weights = PUBLISHED

    def __init__(
        self,
        arch: str = "base",
        *,
        img_size: int = 224,
        num_frames: int = 32,
        drop_path_rate: float = 0.4,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        check_choice("arch", arch, ARCHITECTURES)
        if min(img_size, num_frames) < 1:
            raise InputError(
                f"img_size is {img_size} and num_frames {num_frames}, expected 1 or"
                " more of each"
            )
        backbone = dict(
            type="mmaction.SwinTransformer3D",
            arch=dict(ARCHITECTURES[arch]),
            pretrained2d=False,
            patch_size=(2, 4, 4),
            window_size=_WINDOW.get(arch, _LARGE_WINDOW),
            drop_path_rate=drop_path_rate,
            with_cp=with_cp,
        )
        width = 8 * ARCHITECTURES[arch]["embed_dims"]
        super().__init__(backbone, width, init_cfg=init_cfg)
        self.input_shape = (3, num_frames, img_size, img_size)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """(b, 3, t, h, w), normalised, and mask (b, t) or None -> tokens (b, l, d).

        The mean of the tokens is what the authors' head reads. A clip without any frame
        keeps its tokens but is marked as missing.

        Raises:
            ValueError: another shape.
        """
        check_clip(x, self.input_shape)
        return super().forward(x, mask)
