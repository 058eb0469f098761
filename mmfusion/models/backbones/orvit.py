"""ORViT: a Motionformer some of whose blocks also read objects' boxes.

Shapes: b clips, t times (frames / 2), p = h w patches of a time, l = t p tokens,
o boxes of a time, d channels.
"""

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.models.backbones.motionformer import Motionformer, TrajectoryBlock
from mmfusion.models.layers import Mlp, init_linear
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError

OBJECT_LAYERS = {"nano": (1,), "base": (1, 6, 10)}


def roi_align(features: Tensor, boxes: Tensor) -> Tensor:
    """Crop boxes out of feature maps, each as large as the map (He et al., 2017).

    One bilinear sample in the middle of each bin, with half-pixel alignment: what
    torchvision's ``roi_align(aligned=True, sampling_ratio=-1)`` does for boxes inside
    the image. A box without area gives zeros.

    Args:
        features: (m, d, h, w). boxes: (m, o, 4), x1 y1 x2 y2 in 0..1.

    Returns:
        (m, o, d, h, w).
    """
    height, width = features.shape[-2:]
    like: dict[str, Any] = dict(dtype=boxes.dtype, device=boxes.device)
    size = torch.tensor([width, height], **like)
    start, end = boxes[..., :2] * size - 0.5, boxes[..., 2:] * size - 0.5  # (m, o, 2)
    steps = [(torch.arange(n, **like) + 0.5) / n for n in (width, height)]
    extent = (end - start).unsqueeze(-2)
    x = start[..., :1] + steps[0] * extent[..., 0]  # (m, o, w), in pixels of the map
    y = start[..., 1:] + steps[1] * extent[..., 1]  # (m, o, h)
    x, y = (2 * v / max(n - 1, 1) - 1 for v, n in ((x, width), (y, height)))
    grid = torch.stack(
        [
            x.unsqueeze(2).expand(-1, -1, height, -1),
            y.unsqueeze(3).expand(-1, -1, -1, width),
        ],
        dim=-1,
    )  # (m, o, h, w, 2)
    crops = F.grid_sample(
        features, grid.flatten(1, 2), padding_mode="border", align_corners=True
    ).unflatten(2, (boxes.shape[1], height))  # (m, d, o, h, w)
    has_area = (boxes[..., 2:] > boxes[..., :2]).all(-1)  # (m, o)
    return crops.transpose(1, 2) * has_area[:, :, None, None, None]


def coverage(boxes: Tensor, height: int, width: int) -> Tensor:
    """Share of each grid point that a box covers, as the released layout has it.

    That code hands corners (x1, y1, x2, y2) to a function that takes the last two for
    width and height: a box reaches from x1 to x1 + x2. Released weights are trained so,
    and it is kept. Edges fade over one seventh of the box, from sampling an 8 x 8 map.

    Args:
        boxes: (..., 4), x1 y1 x2 y2 in 0..1; all zero is no box.

    Returns:
        (..., h, w) in 0..1.
    """
    axes = []
    for low, extent, n in ((0, 2, width), (1, 3, height)):
        points = torch.linspace(0, 1, n).to(boxes)
        size = boxes[..., extent, None]
        inside = 7 * (points - boxes[..., low, None]) / size.clamp(min=1e-12)
        axes.append((1 + inside).clamp(0, 1) * (8 - inside).clamp(0, 1) * (size > 0))
    return axes[1].unsqueeze(-1) * axes[0].unsqueeze(-2)


def box_mlp(in_dims: int, embed_dims: int) -> nn.Sequential:
    """Two layers without bias, of a box's patches or of its four numbers."""
    return nn.Sequential(
        nn.Linear(in_dims, embed_dims // 2, bias=False),
        nn.ReLU(),
        nn.Linear(embed_dims // 2, embed_dims, bias=False),
        nn.ReLU(),
    )


class JointAttention(BaseModule):
    """Attention of all boxes of a clip to all others."""

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """(b, l, d) -> (b, l, d)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class JointBlock(BaseModule):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = JointAttention(embed_dims, num_heads)
        self.norm2 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.mlp = Mlp(embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """(b, l, d) -> (b, l, d)."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MotionStream(BaseModule):
    """Boxes alone, without pixels: how objects move, written back onto the grid."""

    def __init__(
        self, embed_dims: int, num_heads: int, times: int, num_objects: int
    ) -> None:
        super().__init__()
        self.box_categories = nn.Parameter(torch.zeros(times, num_objects, embed_dims))
        self.c_coord_to_feature = box_mlp(4, embed_dims)
        self.attn = JointBlock(embed_dims, num_heads)

    def forward(self, boxes: Tensor, grid: int) -> Tensor:
        """Boxes (b, t, o, 4), x1 y1 x2 y2 -> (b, t h w, d)."""
        x = self.box_categories + self.c_coord_to_feature(centred(boxes))
        x = self.attn(x.flatten(1, 2)).view_as(x)  # (b, t, o, d)
        layout = torch.einsum("btohw,btod->bthwd", coverage(boxes, grid, grid), x)
        return layout.flatten(1, 3)


class ObjectRegionBlock(TrajectoryBlock):
    """A trajectory block over patches and objects (Herzig et al., CVPR 2022, eq. 1-3).

    Objects join as tokens: what is inside their box, their place and which box they
    are. The motion stream is added to the patches. Without boxes it is the plain block.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        published: bool,
        times: int,
        num_objects: int,
        with_motion: bool,
    ) -> None:
        super().__init__(embed_dims, num_heads, 0.0, published)
        self.patch_to_d = box_mlp(embed_dims, embed_dims)
        self.box_categories = nn.Parameter(torch.zeros(times, num_objects, embed_dims))
        self.c_coord_to_feature = box_mlp(4, embed_dims)
        self.motion_stream: MotionStream | None = None
        if with_motion:
            self.motion_stream = MotionStream(embed_dims, num_heads, times, num_objects)
            self.motion_mlp = Mlp(embed_dims)

    def forward(self, x: Tensor, times: int, boxes: Tensor | None = None) -> Tensor:
        """(b, 1 + t p, d) and boxes (b, t, o, 4), x1 y1 x2 y2 -> (b, 1 + t p, d)."""
        if boxes is None:
            return super().forward(x, times)
        patches = x[:, 1:].unflatten(1, (times, -1))  # (b, t, p, d)
        grid = round(patches.shape[2] ** 0.5)
        seen = look_into(boxes, patches, self.patch_to_d)  # (b, t, o, d)
        objects = seen + self.box_categories + self.c_coord_to_feature(centred(boxes))
        cls, update = attend_jointly(self, x[:, :1], patches, objects)
        if self.motion_stream is not None:
            update = update + self.motion_mlp(self.motion_stream(boxes, grid))
        x = x + torch.cat([cls, update], dim=1)
        return x + self.mlp(self.norm2(x))


def look_into(boxes: Tensor, patches: Tensor, mlp: nn.Module) -> Tensor:
    """The largest value of each channel in a box, of its patches after ``mlp``.

    Args:
        boxes: (b, t, o, 4), x1 y1 x2 y2 in 0..1. patches: (b, t, p, d), p a square.

    Returns:
        (b, t, o, d).
    """
    grid = round(patches.shape[2] ** 0.5)
    maps = patches.flatten(0, 1).mT.unflatten(2, (grid, grid))  # (b t, d, h, w)
    crops = roi_align(maps, boxes.flatten(0, 1).to(maps.dtype))
    crops = mlp(crops.flatten(3).mT)  # (b t, o, h w, d)
    return crops.amax(2).unflatten(0, boxes.shape[:2])


def attend_jointly(
    block: TrajectoryBlock, cls: Tensor, patches: Tensor, objects: Tensor
) -> tuple[Tensor, Tensor]:
    """Norm and attention of a block over the patches and the objects of each time.

    Args:
        cls: (b, 1, d). patches: (b, t, p, d). objects: (b, t, o, d).

    Returns:
        What becomes of the CLS token, (b, 1, d), and of the patches, (b, t p, d).
    """
    times, num_patches = patches.shape[1:3]
    tokens = torch.cat([patches, objects], dim=2).flatten(1, 2)
    tokens = block.attn(block.norm1(torch.cat([cls, tokens], dim=1)), times)
    patches = tokens[:, 1:].unflatten(1, (times, -1))[:, :, :num_patches]
    return tokens[:, :1], patches.flatten(1, 2)


def centred(boxes: Tensor) -> Tensor:
    """x1 y1 x2 y2 -> centre x, centre y, width, height; (..., 4)."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def boxes_of_times(
    boxes: Tensor, mask: Tensor | None, clip: Tensor, count: int, times: int
) -> Tensor:
    """The boxes of every second frame's count, ``count`` of each, zeros where none is.

    Args:
        boxes: (b, frames, o, 4), x1 y1 x2 y2 in 0..1, at most ``count`` a frame.
        mask: (b, frames, o) bool or None. clip: (b, 3, frames, h, w). times: t.

    Returns:
        (b, t, count, 4).

    Raises:
        InputError: boxes of another shape, or, on a CPU, outside 0..1.
    """
    shape, frames = tuple(boxes.shape), clip.shape[2]
    fits = boxes.dim() == 4 and shape[:2] == (len(clip), frames) and shape[3] == 4
    if not fits or not boxes.numel() or shape[2] > count:
        raise InputError(
            f"boxes have shape {shape}, expected ({len(clip)}, {frames}, o, 4) with at"
            f" most o={count}, none 0"
        )
    if boxes.is_cpu:  # a GPU would be waited for
        low, high = float(boxes.min()), float(boxes.max())
        if not (low >= 0 and high <= 1):
            raise InputError(f"boxes reach from {low} to {high}, expected 0..1")
    if mask is not None:
        if mask.dtype != torch.bool or mask.shape != shape[:3]:
            raise InputError(
                f"boxes_mask is {mask.dtype} {tuple(mask.shape)}, expected bool"
                f" {shape[:3]}"
            )
        boxes = boxes.masked_fill(~mask.unsqueeze(-1), 0)
    boxes = F.pad(boxes, (0, 0, 0, count - shape[2]))
    return boxes[:, :: frames // times]


@MODELS.register_module()
class ORViT(Motionformer):
    """Object-region video transformer (Herzig et al., CVPR 2022) on a Motionformer.

    Blocks 1, 6 and 10 also read boxes (two hands and the objects, in the published EPIC
    weights). A batch without boxes runs as the plain Motionformer, and the log says so
    once; where single boxes are missing they are all zero.

    Args:
        num_objects: boxes of a frame, o.
        with_motion: whether those blocks have the stream that reads boxes alone.
        arch, img_size, num_frames, drop_path_rate, published_attention, with_cp,
            init_cfg: as :class:`Motionformer`.

    Example:
        >>> import torch
        >>> model = ORViT(arch="nano", img_size=32, num_frames=4)
        >>> clip, boxes = torch.randn(1, 3, 4, 32, 32), torch.tensor([0.1, 0.1, 0.5, 1])
        >>> model(clip, boxes=boxes.expand(1, 4, 4, 4)).cls.shape
        torch.Size([1, 64])
    """

    extra_streams = ("boxes",)

    def __init__(
        self,
        arch: str = "base",
        *,
        num_objects: int = 4,
        with_motion: bool = True,
        img_size: int = 224,
        num_frames: int = 16,
        drop_path_rate: float = 0.0,
        published_attention: bool = True,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            arch,
            img_size=img_size,
            num_frames=num_frames,
            drop_path_rate=drop_path_rate,
            published_attention=published_attention,
            with_cp=with_cp,
            init_cfg=init_cfg,
        )
        self.num_boxes = num_objects
        self._warned = False
        for index in OBJECT_LAYERS[arch]:
            self.blocks[index] = ObjectRegionBlock(
                self.embed_dims,
                self.num_heads,
                published_attention,
                self.times,
                num_objects,
                with_motion,
            )
            self.blocks[index].apply(init_linear)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        boxes: Tensor | None = None,
        boxes_mask: Tensor | None = None,
    ) -> TokenFeatures:
        """Encode clips with their boxes.

        Args:
            x: (b, 3, frames, h, w), normalised. mask: (b, frames) bool or None.
            boxes: (b, frames, o, 4), x1 y1 x2 y2 in 0..1; every second frame's count,
                as in the released code. None: the plain Motionformer.
            boxes_mask: (b, frames, o) bool, False where a box is missing.

        Returns:
            As :meth:`Motionformer.forward`.

        Raises:
            ValueError: boxes of another shape, or outside 0..1.
        """
        if boxes is None:
            if not self._warned:
                MMLogger.get_current_instance().warning(
                    "ORViT got no boxes: it runs as the plain Motionformer. Add the"
                    " stream 'boxes' (LoadBoxes, PackInputs) to use its object blocks"
                )
                self._warned = True
            return super().forward(x, mask)
        boxes = boxes_of_times(boxes, boxes_mask, x, self.num_boxes, self.times)
        boxes = boxes.to(self.pos_embed.dtype)
        reads_boxes = [isinstance(block, ObjectRegionBlock) for block in self.blocks]
        return self.encode(
            x, mask, [(boxes,) if reads else () for reads in reads_boxes]
        )
