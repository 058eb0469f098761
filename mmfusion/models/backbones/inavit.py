"""InAViT: a Motionformer whose regions of hands and objects refine one another.

Shapes: b clips, t times (frames / 2), p = h w patches of a time, l = t p tokens,
u hands and o objects of a time, d channels.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.models.backbones.motionformer import (
    PUBLISHED,
    Motionformer,
    TrajectoryAttention,
    TrajectoryBlock,
)
from mmfusion.models.backbones.orvit import (
    OBJECT_LAYERS,
    MotionStream,
    attend_jointly,
    box_mlp,
    boxes_of_times,
    centred,
    look_into,
)
from mmfusion.models.layers import Mlp, init_linear
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError

_REGION_BLOCK = r"^blocks\.\d+\."
_NEVER_RUN = "the authors make it and never run it"


class RegionAttention(BaseModule):
    """Attention of some regions of a frame to others (spatial cross-attention, SCA).

    Args:
        embed_dims: channels. num_heads: heads.
        published: keep the order of the released code, which reads its result (heads,
            regions, e) as (regions, d) without turning it: a region gets some heads of
            all of them, and the layers behind are trained for that. One region alone is
            the same in both. Over a batch the released code would mix clips, too, which
            is not done here.
    """

    def __init__(self, embed_dims: int, num_heads: int, published: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.published = published
        self.q = nn.Linear(embed_dims, embed_dims)
        self.kv = nn.Linear(embed_dims, 2 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Regions (m, n, d) that ask, regions (m, k, d) that are seen -> (m, n, d)."""
        q, k, v = (
            z.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for z in (self.q(x), *self.kv(y).chunk(2, dim=-1))
        )
        mixed = F.scaled_dot_product_attention(q, k, v)  # (m, heads, n, e)
        if self.published:
            return self.proj(mixed.reshape(x.shape))
        return self.proj(mixed.transpose(1, 2).flatten(2))


class TrajectoryCrossAttention(TrajectoryAttention):
    """Trajectory attention of patches, which ask as they are, to regions (TCA)."""

    def __init__(self, embed_dims: int, num_heads: int, published: bool = True) -> None:
        super().__init__(embed_dims, num_heads, published)
        del self.qkv
        self.kv = nn.Linear(embed_dims, 2 * embed_dims)

    def forward(  # type: ignore[override]
        self, x: Tensor, regions: Tensor, times: int
    ) -> Tensor:
        """(b, 1 + t p, d) and regions (b, 1 + t n, d) -> (b, 1 + t p, d)."""
        k, v = self.kv(regions).chunk(2, dim=-1)
        return self.follow(x, k, v, times)


class InteractionBlock(TrajectoryBlock):
    """A trajectory block over patches, hands and objects (Roy et al., WACV 2024).

    Hands attend to the objects of their frame, objects to hands and objects; so refined
    they join the patches as tokens, as an ORViT's objects do.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        published: bool,
        times: int,
        num_hands: int,
        num_objects: int,
        with_motion: bool,
        infuse_context: bool,
    ) -> None:
        super().__init__(embed_dims, num_heads, 0.0, published)
        count = num_hands + num_objects
        self.num_hands = num_hands
        self.patch_to_d = box_mlp(embed_dims, embed_dims)
        self.box_categories = nn.Parameter(torch.zeros(times, count, embed_dims))
        self.c_coord_to_feature = box_mlp(4, embed_dims)
        self.spatial_crossattn = RegionAttention(embed_dims, num_heads, published)
        self.timecrossattn: TrajectoryCrossAttention | None = None
        if infuse_context:
            self.timecrossattn = TrajectoryCrossAttention(
                embed_dims, num_heads, published
            )
        self.motion_stream: MotionStream | None = None
        if with_motion:
            self.motion_stream = MotionStream(embed_dims, num_heads, times, count)
            self.motion_mlp = Mlp(embed_dims)

    def forward(  # type: ignore[override]
        self, x: Tensor, times: int, boxes: Tensor
    ) -> Tensor:
        """(b, 1 + t p, d), boxes (b, t, u + o, 4), hands first -> (b, 1 + t p, d)."""
        boxes = boxes.roll(-self.num_hands, dims=2)  # as published: objects first
        cls, patches = x[:, :1], x[:, 1:].unflatten(1, (times, -1))  # (b, t, p, d)
        grid = round(patches.shape[2] ** 0.5)
        seen = self._refine(look_into(boxes, patches, self.patch_to_d))
        regions = seen + self.box_categories + self.c_coord_to_feature(centred(boxes))
        updates = attend_jointly(self, cls, patches, regions)
        update = torch.cat(updates, dim=1)  # (b, 1 + t p, d)
        if self.timecrossattn is not None:
            regions = torch.cat([cls, regions.flatten(1, 2)], dim=1)
            context = self.timecrossattn(self.norm1(x), self.norm2(regions), times)
            update = 0.5 * (update + context)
        if self.motion_stream is not None:
            motion = self.motion_mlp(self.motion_stream(boxes, grid))  # (b, t p, d)
            update = update + F.pad(motion, (0, 0, 1, 0))
        x = x + update
        return x + self.mlp(self.norm2(x))

    def _refine(self, seen: Tensor) -> Tensor:
        """Objects and hands (b, t, o + u, d), as seen -> as they change one another."""
        flat = seen.flatten(0, 1)
        objects, hands = flat[:, : -self.num_hands], flat[:, -self.num_hands :]
        hands_and_objects = torch.cat([hands, objects], dim=1)
        objects, hands = (
            self.spatial_crossattn(objects, hands_and_objects),
            self.spatial_crossattn(hands, objects),
        )
        return torch.cat([objects, hands], dim=1).view_as(seen)


def _unused(with_motion: bool, infuse_context: bool) -> Iterator[tuple[str, str]]:
    """Patterns of published keys that such a model lacks, and why."""
    names = r"(spatial_selfattn\.|spatial_crossattn\.pos_emb|(hand|obj)_mask_weights$)"
    yield _REGION_BLOCK + names, _NEVER_RUN
    if infuse_context:
        yield rf"{_REGION_BLOCK}timecrossattn\.qkv\.", _NEVER_RUN
    else:
        yield rf"{_REGION_BLOCK}timecrossattn\.", "infuse_context=False"
    if not with_motion:
        yield rf"{_REGION_BLOCK}motion_(stream|mlp)\.", "with_motion=False"


@MODELS.register_module()
class InAViT(Motionformer):
    """Interaction-region video transformer (Roy et al., WACV 2024) on a Motionformer.

    Blocks 1, 6 and 10 also read boxes of hands and objects, let them refine one another
    by attention within a frame, and give them to the patches as tokens.

    Args:
        num_hands: hands of a frame, u: the first of its boxes.
        num_objects: objects of a frame, o: the boxes behind them.
        with_motion: whether those blocks have ORViT's stream that reads boxes alone.
            The released config asks for it, the released code makes it and leaves it
            out of the forward.
        infuse_context: whether patches also follow the regions through time
            (trajectory cross-attention); the mean of both is taken. On in the paper,
            off in the released config.
        published_attention: keep the released code's values of the second attention
            step, and its order of heads in the attention of regions, for which its
            weights were trained.
        arch, img_size, num_frames, drop_path_rate, with_cp, init_cfg: as
            :class:`Motionformer`.

    Example:
        >>> import torch
        >>> model = InAViT(arch="nano", num_objects=2, img_size=32, num_frames=4)
        >>> clip, boxes = torch.randn(1, 3, 4, 32, 32), torch.tensor([0.1, 0.1, 0.5, 1])
        >>> model(clip, boxes=boxes.expand(1, 4, 3, 4)).cls.shape
        torch.Size([1, 64])
    """

    extra_streams = ("boxes",)

    def __init__(
        self,
        arch: str = "base",
        *,
        num_hands: int = 1,
        num_objects: int = 4,
        with_motion: bool = False,
        infuse_context: bool = False,
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
        if min(num_hands, num_objects) < 1:
            raise InputError(
                f"num_hands={num_hands}, num_objects={num_objects}: expected 1 or more"
                " of each"
            )
        self.num_boxes = num_hands + num_objects
        unused = PUBLISHED.unused | dict(_unused(with_motion, infuse_context))
        self.published_weights = replace(PUBLISHED, unused=unused)
        for index in OBJECT_LAYERS[arch]:
            self.blocks[index] = InteractionBlock(
                self.embed_dims,
                self.num_heads,
                published_attention,
                self.times,
                num_hands,
                num_objects,
                with_motion,
                infuse_context,
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
            boxes: (b, frames, n, 4), x1 y1 x2 y2 in 0..1, hands first; zeros where one
                is missing, further objects may be left out. Every second frame's count.
            boxes_mask: (b, frames, n) bool, False where a box is missing.

        Returns:
            As :meth:`Motionformer.forward`.

        Raises:
            ValueError: no boxes, boxes of another shape, or outside 0..1.
        """
        if boxes is None:
            raise InputError(
                "InAViT got no boxes; expected the stream 'boxes' (LoadBoxes,"
                " PackInputs) with the hands' first"
            )
        boxes = boxes_of_times(boxes, boxes_mask, x, self.num_boxes, self.times)
        more = (boxes.to(self.pos_embed.dtype),)
        reads = [isinstance(block, InteractionBlock) for block in self.blocks]
        return self.encode(x, mask, [more if read else () for read in reads])
