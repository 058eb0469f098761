"""MeMViT: a multiscale vision transformer that remembers the clips before.

Shapes: b videos, c clips of one video, m clips of the memory, t times (frames / 2), h w
patches of a time, l = 1 + t h w tokens of a clip with its CLS token, n of a remembered
one, d channels, e channels of a head.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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

# stages: the blocks that halve the sides and double the width
ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "nano": dict(embed_dims=16, depth=4, stages=(1, 2, 3)),
    "16": dict(embed_dims=96, depth=16, stages=(1, 3, 14)),
    "24": dict(embed_dims=96, depth=24, stages=(2, 5, 21)),
}
PATCH_KERNEL, PATCH_STRIDE = (3, 7, 7), (2, 4, 4)
MEMORY_KERNEL, MEMORY_STRIDE = (7, 3, 3), (4, 2, 2)
_KEY_SIDES = 8  # keys of the first stage are pooled to an eighth of its sides
_EPS = 1e-6
Size = tuple[int, int, int]  # t, h, w


class BlockMemory(NamedTuple):
    """Memory of one block: pooled keys and values, before their linear layers.

    The clip just read is kept whole, and compressed only when the next one is read, so
    that the compression is trained; those before it are kept compressed.

    Attributes:
        key, value: of the clip just read, (b, l', d).
        old_keys, old_values: of those before it, the oldest first, (b, n, d) each.
    """

    key: Tensor
    value: Tensor
    old_keys: list[Tensor]
    old_values: list[Tensor]


class ClipMemory(NamedTuple):
    """Memory of a model after a clip.

    Attributes:
        blocks: of every block; None where it keeps nothing.
        there: (b, m) bool, False for a clip before its video's start; None: all are.
    """

    blocks: tuple[BlockMemory | None, ...]
    there: Tensor | None


class MemoryAttention(BaseModule):
    """Attention of a clip's pooled tokens, and of those of the clips before.

    Tokens are pooled before the linear layers of q, k and v. Positions are relative,
    one table a side and one of times, and others for the memory, whose newest time
    stands at distance 0 of each query's clip whatever the number of clips.

    Args:
        in_dims, embed_dims: channels of the tokens in and out.
        size: (t, h, w) of the tokens. stride: by which q is pooled, 1 or 2.
        kv_stride: by which k and v are. memory_clips: m at most; 0: no memory.
    """

    def __init__(
        self,
        in_dims: int,
        embed_dims: int,
        num_heads: int,
        size: Size,
        stride: int,
        kv_stride: int,
        memory_clips: int,
    ) -> None:
        super().__init__()
        self.num_heads, self.memory_clips = num_heads, memory_clips
        self.q, self.k, self.v = (nn.Linear(in_dims, embed_dims) for _ in range(3))
        self.proj = nn.Linear(embed_dims, embed_dims)
        width = in_dims // num_heads
        self.pool_q, self.pool_k, self.pool_v = (
            _depthwise(width, (3, 3, 3), (1, by, by))
            for by in (stride, kv_stride, kv_stride)
        )
        self.norm_q, self.norm_k, self.norm_v = _norms(width, 3)
        times, side, head_dims = size[0], size[1] // stride, embed_dims // num_heads
        finer = max(side, size[1] // kv_stride)
        self.rel_pos_t = _table(2 * times - 1, head_dims)
        self.rel_pos_h = _table(2 * finer - 1, head_dims)
        self.rel_pos_w = _table(2 * finer - 1, head_dims)
        if memory_clips:
            self.compress_k, self.compress_v = (
                _depthwise(in_dims, MEMORY_KERNEL, MEMORY_STRIDE) for _ in range(2)
            )
            self.norm_compress_k, self.norm_compress_v = _norms(in_dims, 2)
            self.rel_pos_mem_t = _table((memory_clips + 1) * times - 1, head_dims)
            self.rel_pos_mem_h = _table(2 * side - 1, head_dims)
            self.rel_pos_mem_w = _table(2 * side - 1, head_dims)

    def forward(
        self, x: Tensor, size: Size, memory: BlockMemory | None, there: Tensor | None
    ) -> tuple[Tensor, Size, BlockMemory | None]:
        """Read a clip after those of the memory.

        Args:
            x: (b, l, d). size: its (t, h, w). memory: None before the first clip.
            there: (b, m) as in :class:`ClipMemory`.

        Returns:
            (b, l', d), its size, and the memory after this clip.
        """
        heads = self.num_heads
        q, q_size = pool_tokens(x, self.pool_q, self.norm_q, size, heads)
        k, k_size = pool_tokens(x, self.pool_k, self.norm_k, size, heads)
        v, _ = pool_tokens(x, self.pool_v, self.norm_v, size, heads)
        q = self._heads(self.q(q))  # (b, heads, l', e)
        patches = q[:, :, 1:].unflatten(2, q_size)
        bias = self._own_positions(patches, k_size)
        keys, values, kept = [k], [v], None
        if self.memory_clips:
            past_keys: list[Tensor] = []
            past_values: list[Tensor] = []
            if memory is not None:
                past_keys, past_values, past_size = self._compress(memory, k_size)
                past = self._memory_positions(patches, len(past_keys), past_size)
                bias = torch.cat([_without_absent(past, there), bias], dim=-1)
                keys, values = [*past_keys, k], [*past_values, v]
            first = max(len(past_keys) - self.memory_clips + 1, 0)
            kept = BlockMemory(
                k.detach(),
                v.detach(),
                [one.detach() for one in past_keys[first:]],
                [one.detach() for one in past_values[first:]],
            )
        k, v = self.k(torch.cat(keys, dim=1)), self.v(torch.cat(values, dim=1))
        y = F.scaled_dot_product_attention(q, self._heads(k), self._heads(v), bias)
        y = y + F.pad(q[:, :, 1:], (0, 0, 1, 0))  # all but the CLS token
        return self.proj(y.transpose(1, 2).flatten(2)), q_size, kept

    def _heads(self, x: Tensor) -> Tensor:
        """(b, l, d) -> (b, heads, l, e)."""
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def _compress(
        self, memory: BlockMemory, size: Size
    ) -> tuple[list[Tensor], list[Tensor], Size]:
        """Keys and values of all remembered clips, (b, n, d) each, and their size."""
        key, small = pool_tokens(
            memory.key, self.compress_k, self.norm_compress_k, size
        )
        value, _ = pool_tokens(
            memory.value, self.compress_v, self.norm_compress_v, size
        )
        return [*memory.old_keys, key], [*memory.old_values, value], small

    def _own_positions(self, q: Tensor, k_size: Size) -> Tensor:
        """Of patches (b, heads, t, h, w, e) to the clip's own: (b, heads, l, l_k)."""
        time = torch.arange(k_size[0], device=q.device)
        bias = _relative(
            q,
            self.rel_pos_t[time[:, None] - time + len(time) - 1],
            self.rel_pos_h[_distances(q.shape[3], k_size[1], q.device)],
            self.rel_pos_w[_distances(q.shape[4], k_size[2], q.device)],
        )
        return F.pad(bias.flatten(5).flatten(2, 4), (1, 0, 1, 0))  # 0 for CLS tokens

    def _memory_positions(self, q: Tensor, clips: int, size: Size) -> Tensor:
        """Of patches to the memory's tokens: (b, heads, 1 + l, m, n)."""
        times = clips * size[0]
        query = torch.arange(q.shape[2], device=q.device)
        past = (times - 1 - torch.arange(times, device=q.device)) * MEMORY_STRIDE[0]
        bias = _relative(
            q,
            self.rel_pos_mem_t[query[:, None] + past],
            self.rel_pos_mem_h[_distances(q.shape[3], size[1], q.device)],
            self.rel_pos_mem_w[_distances(q.shape[4], size[2], q.device)],
        ).flatten(2, 4)  # (b, heads, l, m t, h, w)
        bias = bias.unflatten(3, (clips, -1)).flatten(4)  # (b, heads, l, m, t h w)
        return F.pad(bias, (1, 0, 0, 0, 1, 0))


class MemoryBlock(BaseModule):
    """x + attention(norm x), then x + mlp(norm x); pooled where a stage begins."""

    def __init__(
        self,
        in_dims: int,
        embed_dims: int,
        num_heads: int,
        size: Size,
        stride: int,
        kv_stride: int,
        memory_clips: int,
        drop_path_rate: float,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(in_dims, eps=_EPS)
        self.attn = MemoryAttention(
            in_dims, embed_dims, num_heads, size, stride, kv_stride, memory_clips
        )
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate else nn.Identity()
        self.norm2 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.mlp = Mlp(embed_dims)
        widens = in_dims != embed_dims
        self.proj = nn.Linear(in_dims, embed_dims) if widens else None
        step = (1, stride, stride)
        self.pool_skip = (
            nn.MaxPool3d((1, 3, 3), step, (0, 1, 1)) if stride > 1 else None
        )

    def forward(
        self, x: Tensor, size: Size, memory: BlockMemory | None, there: Tensor | None
    ) -> tuple[Tensor, Size, BlockMemory | None]:
        """(b, l, d), its (t, h, w) and the memory -> the same after this block."""
        normed = self.norm1(x)
        y, new_size, kept = self.attn(normed, size, memory, there)
        if self.proj is not None:
            x = self.proj(normed)
        if self.pool_skip is not None:
            x, _ = pool_tokens(x, self.pool_skip, None, size)
        x = x + self.drop_path(y)
        return x + self.drop_path(self.mlp(self.norm2(x))), new_size, kept


PUBLISHED = PublishedWeights(
    unused={
        r"^blocks\.\d*[13579]\.attn\.(norm_)?compress_": "a block without memory",
        r"^blocks\.\d*[13579]\.attn\.rel_pos_mem_": "a block without memory",
        r"^box_blocks\.": "the blocks of AVA's boxes",
    },
    heads=((r"^head\.projection\.(weight|bias)$", "action"),),
)


@MODELS.register_module()
class MeMViT(BaseModule):
    """MeMViT (Wu et al., CVPR 2022, arXiv 2201.08383) with the published names.

    A sample is a stretch of one video: its frames are cut into ``num_clips`` clips,
    which are read in order, each with the keys and values of the ``memory_clips``
    before it, in every other block. Tokens are those of the last clip; only it is
    trained, as memory is detached, and the compression of the clip before it. The
    authors' code keeps the memory from one iteration to the next instead, by a loader
    that never shuffles, and blanks what is of another video of the batch. Here memory
    lives and ends within a forward: videos cannot mix, samples may be shuffled, and a
    run resumes; a sample costs ``num_clips`` clips. :meth:`read_clip` carries memory
    over a whole video, clip by clip. The authors' sampler gapN is every Nth clip.

    Args:
        arch: ``16`` or ``24`` blocks (published), or ``nano`` for CPUs.
        img_size: side of the square input in pixels, a multiple of 32.
        num_frames: of one clip, a multiple of 8. num_clips: clips of a sample.
        memory_clips: m, clips that a block remembers; 0: MViTv2 without memory.
        drop_path_rate: of the last block; rates grow linearly from 0.
        with_cp: recompute each block in the backward: less memory, more time.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads weights. Those of
            Kinetics have no memory: ``fresh=["blocks.*.attn.*compress_*",
            "blocks.*.attn.rel_pos_mem_*"]`` starts it.

    Raises:
        ValueError: an unknown ``arch``, or sizes that pooling does not divide.

    Example:
        >>> import torch
        >>> model = MeMViT("nano", img_size=32, num_frames=8, num_clips=3)
        >>> features = model(torch.randn(1, 3, 24, 32, 32))
        >>> features.tokens.shape, features.cls.shape
        (torch.Size([1, 4, 128]), torch.Size([1, 128]))
    """

    published_weights = PUBLISHED

    def __init__(
        self,
        arch: str = "16",
        *,
        img_size: int = 224,
        num_frames: int = 16,
        num_clips: int = 3,
        memory_clips: int = 2,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("arch", arch, ARCHITECTURES)
        sizes = min(img_size, num_frames, num_clips)
        if img_size % 32 or num_frames % 8 or sizes < 1 or memory_clips < 0:
            raise InputError(
                f"img_size={img_size} must be a multiple of 32, num_frames={num_frames}"
                f" of 8, num_clips={num_clips} 1 or more and"
                f" memory_clips={memory_clips} 0 or more"
            )
        self.num_clips, self.memory_clips = num_clips, memory_clips
        self.clip_shape = (3, num_frames, img_size, img_size)
        self.input_shape = (3, num_clips * num_frames, img_size, img_size)
        self.with_cp = with_cp
        depth, stages = ARCHITECTURES[arch]["depth"], ARCHITECTURES[arch]["stages"]
        width: int = ARCHITECTURES[arch]["embed_dims"]
        self.patch_embed = BaseModule()
        self.patch_embed.proj = nn.Conv3d(
            3, width, PATCH_KERNEL, PATCH_STRIDE, _half(PATCH_KERNEL)
        )
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        times, side = num_frames // PATCH_STRIDE[0], img_size // PATCH_STRIDE[1]
        blocks, heads, kv_stride = [], 1, _KEY_SIDES
        for index in range(depth):
            stride = 2 if index in stages else 1
            heads, kv_stride = heads * stride, kv_stride // stride
            block = MemoryBlock(
                width,
                width * stride,
                heads,
                (times, side, side),
                stride,
                kv_stride,
                memory_clips if index % 2 == 0 else 0,
                drop_path_rate * index / (depth - 1),
            )
            blocks.append(block)
            width, side = width * stride, side // stride
        self.blocks = ModuleList(blocks)
        self.embed_dims = width
        self.norm = nn.LayerNorm(width, eps=_EPS)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        self.apply(init_linear)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode the last of a video's clips, after those before it.

        Args:
            x: (b, 3, c frames, h, w), normalised, of ``input_shape``, in order.
            mask: (b, c frames) bool, False for a frame that is not there; a clip
                without any is not remembered. None: all are there.

        Returns:
            tokens (b, l, d), cls (b, d) and mask (b, l) of the last clip.
        """
        check_clip(x, self.input_shape)
        clips = x.chunk(self.num_clips, dim=2)
        masks = [None] * self.num_clips if mask is None else mask.chunk(len(clips), 1)
        memory = None
        with torch.no_grad():
            for clip, seen in zip(clips[:-1], masks[:-1], strict=True):
                _, memory = self.read_clip(clip, seen, memory)
        return self.read_clip(clips[-1], masks[-1], memory)[0]

    def read_clip(
        self, x: Tensor, mask: Tensor | None, memory: ClipMemory | None
    ) -> tuple[TokenFeatures, ClipMemory]:
        """Encode the next clip of each video.

        Args:
            x: (b, 3, frames, h, w), normalised, of ``clip_shape``. mask: (b, frames)
                bool, of every clip of the videos or of none. memory: after the clip
                before; None at a video's start.

        Returns:
            tokens (b, l, d), cls (b, d) and mask (b, l), and the memory after it.
        """
        check_clip(x, self.clip_shape)
        old, there = memory or ((None,) * len(self.blocks), None)
        x = self.patch_embed.proj(x)  # (b, d, t, h, w)
        size: Size = (x.shape[2], x.shape[3], x.shape[4])
        cls = self.cls_token.expand(len(x), -1, -1).to(x.dtype)
        x = torch.cat([cls, x.flatten(2).mT], dim=1)
        kept = []
        for block, own in zip(self.blocks, old, strict=True):
            x, size, new = run_block(block, self.with_cp, x, size, own, there)
            kept.append(new)
        if mask is not None or there is not None:
            if there is None:  # so far all were
                there = x.new_ones(len(x), _num_clips(old), dtype=torch.bool)
            if mask is None:
                seen = x.new_ones(len(x), 1, dtype=torch.bool)
            else:
                seen = mask.any(1, keepdim=True)  # (b, 1)
            there = torch.cat([there, seen], dim=1)[:, -self.memory_clips :]
        features = clip_features(self.norm(x), mask, size[0])
        return features, ClipMemory(tuple(kept), there)


def _num_clips(memory: Sequence[BlockMemory | None]) -> int:
    """Clips that blocks remember."""
    return max((len(one.old_keys) + 1 for one in memory if one is not None), default=0)


def _depthwise(width: int, kernel: Size, stride: Size) -> nn.Conv3d:
    return nn.Conv3d(
        width, width, kernel, stride, _half(kernel), groups=width, bias=False
    )


def _half(kernel: Size) -> Size:
    """Padding that keeps a size, of a kernel of odd sides."""
    return kernel[0] // 2, kernel[1] // 2, kernel[2] // 2


def _norms(width: int, count: int) -> list[nn.LayerNorm]:
    return [nn.LayerNorm(width, eps=_EPS) for _ in range(count)]


def _table(length: int, width: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(length, width), std=0.02))


def pool_tokens(
    x: Tensor, pool: nn.Module, norm: nn.Module | None, size: Size, num_heads: int = 1
) -> tuple[Tensor, Size]:
    """Pool the patches of tokens (b, l, d); the CLS token in front passes by.

    Every head is pooled by the same ``pool`` and ``norm`` of d / num_heads channels.

    Returns:
        (b, l', d), and the (t, h, w) of its patches.
    """
    cls, patches = x.unflatten(2, (num_heads, -1)).split([1, x.shape[1] - 1], dim=1)
    patches = patches.permute(0, 2, 3, 1).flatten(0, 1).unflatten(2, size)
    patches = pool(patches)  # (b heads, e, t, h, w)
    t, h, w = patches.shape[2:]
    patches = patches.flatten(2).unflatten(0, (-1, num_heads)).permute(0, 3, 1, 2)
    x = torch.cat([cls, patches], dim=1)  # (b, l', heads, e)
    x = x if norm is None else norm(x)
    return x.flatten(2), (t, h, w)


def _distances(queries: int, keys: int, device: torch.device) -> Tensor:
    """Places in a side's table, (queries, keys): the distance in the finer's steps."""
    q, k = (torch.arange(n, device=device) for n in (queries, keys))
    q_step, k_step = max(keys / queries, 1.0), max(queries / keys, 1.0)
    return (q[:, None] * q_step - k * k_step + (keys - 1) * k_step).long()


def _relative(q: Tensor, time: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Products of patches (b, heads, t, h, w, e) with the tables of three axes.

    Args:
        time, row, column: (t, t_k, e), (h, h_k, e), (w, w_k, e).

    Returns:
        (b, heads, t, h, w, t_k, h_k, w_k).
    """
    bias = torch.einsum("bnthwe,tke->bnthwk", q, time)[..., None, None]
    bias = bias + torch.einsum("bnthwe,hke->bnthwk", q, row)[..., None, :, None]
    return bias + torch.einsum("bnthwe,wke->bnthwk", q, column)[..., None, None, :]


def _without_absent(bias: Tensor, there: Tensor | None) -> Tensor:
    """(b, heads, l, m, n) -> (b, heads, l, m n), minus infinity for absent clips."""
    if there is not None:
        bias = bias.masked_fill(~there[:, None, None, :, None], float("-inf"))
    return bias.flatten(3)
