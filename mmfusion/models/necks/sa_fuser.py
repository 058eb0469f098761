"""AFFT's SA-Fuser: at every moment the streams attend to each other.

Shapes: b rows, t moments, m streams, c channels of a stream, d channels.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule, ModuleDict, ModuleList
from torch import Tensor, nn

from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures, match_rows
from mmfusion.utils.errors import InputError

_EPS = 1e-6


class FuserAttention(BaseModule):
    """Attention of the streams of one moment; queries, keys and values have no bias."""

    def __init__(self, embed_dims: int, num_heads: int, drop_rate: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.drop_rate = drop_rate
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=False)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.dropout = nn.Dropout(drop_rate)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(n, 1 + m, d), mask (n, 1 + m) or None -> (n, 1 + m, d)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (n, heads, 1 + m, d / heads) each
        readable = None if mask is None else mask[:, None, None]
        drop = self.drop_rate if self.training else 0.0
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=readable, dropout_p=drop)
        return self.dropout(self.proj(x.transpose(1, 2).flatten(2)))


class FuserMlp(BaseModule):
    """Two linear layers with GELU between; dropout behind the second only."""

    def __init__(self, embed_dims: int, drop_rate: float) -> None:
        super().__init__()
        hidden = 4 * embed_dims
        self.mlp = nn.Sequential(
            nn.Linear(embed_dims, hidden),
            nn.GELU(),
            nn.Linear(hidden, embed_dims),
            nn.Dropout(drop_rate),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        return self.mlp(x)


class FuserBlock(BaseModule):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(
        self, embed_dims: int, num_heads: int, drop_rate: float, drop_path_rate: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.attn = FuserAttention(embed_dims, num_heads, drop_rate)
        self.norm2 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.mlp = FuserMlp(embed_dims, drop_rate)
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(n, 1 + m, d), mask (n, 1 + m) or None -> (n, 1 + m, d)."""
        x = x + self.drop_path(self.attn(self.norm1(x), mask))
        return x + self.drop_path(self.mlp(self.norm2(x)))


@MODELS.register_module()
class SAFuser(BaseModule):
    """Fuse streams moment by moment by self-attention (AFFT, arXiv 2210.12649, 3.2).

    At each moment a learned token and one token of each stream attend to each other;
    the learned token's output is the fused moment. Moments do not see each other, so
    that a causal decoder may follow, as :class:`FuturePredictor`. Parameters bear the
    names of the authors' ``ModalTokenCMFuser``.

    Args:
        streams: c by stream, in the authors' order; one whose c is d is not mapped.
        embed_dims: d. depth: blocks. num_heads: of each.
        drop_rate: dropout of tokens, attention and outputs. drop_path_rate: of the last
            block, rising evenly from 0.
        init_std: of the blocks' weights; 0.02 is the authors'. A narrow one needs more:
            about d ** -0.5.

    Example:
        >>> fuser = SAFuser(dict(rgb=8, obj=6), 8, depth=1)
        >>> feats = {n: TokenFeatures(torch.randn(2, 5, c)) for n, c in
        ...          dict(rgb=8, obj=6).items()}
        >>> fuser(feats).tokens.shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        streams: Mapping[str, int],
        embed_dims: int = 1024,
        *,
        depth: int = 6,
        num_heads: int = 4,
        drop_rate: float = 0.1,
        drop_path_rate: float = 0.1,
        init_std: float = 0.02,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not streams or embed_dims % num_heads:
            raise InputError(
                f"streams is {dict(streams)}, embed_dims {embed_dims}, num_heads"
                f" {num_heads}; expected a stream or more, and heads that divide"
                " embed_dims"
            )
        self.streams = dict(streams)
        self.embed_dims = embed_dims
        self.mapping = ModuleDict(
            {
                name: nn.Linear(width, embed_dims, bias=False)
                for name, width in streams.items()
                if width != embed_dims
            }
        )
        self.modal_token = nn.Parameter(torch.empty(1, 1, embed_dims))
        self.embd_drop = nn.Dropout(drop_rate)
        step = drop_path_rate / max(1, depth - 1)
        self.blocks = ModuleList(
            FuserBlock(embed_dims, num_heads, drop_rate, step * index)
            for index in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dims, eps=_EPS)
        nn.init.trunc_normal_(self.modal_token, std=0.02)
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=init_std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, feats: dict[str, TokenFeatures]) -> TokenFeatures:
        """Features by stream, tokens (b, t, c) -> fused moments, tokens (b, t, d).

        A stream that a row lacks at a moment is not read there; the mask is False where
        all are lacking.

        Raises:
            ValueError: a stream is missing, or has another width or number of moments.
        """
        chosen = match_rows({name: self._checked(feats, name) for name in self.streams})
        first = next(iter(chosen.values())).tokens
        tokens = [
            self.mapping[name](x.tokens) if name in self.mapping else x.tokens
            for name, x in chosen.items()
        ]
        if any(x.shape != tokens[0].shape for x in tokens):  # a graph hashes none
            moments = {name: x.tokens.shape[1] for name, x in chosen.items()}
            raise InputError(
                f"streams have {moments} moments, expected the same of each: give"
                " SampleObservedFrames(num_frames=...) one number"
            )
        x = torch.stack(tokens, dim=2).flatten(0, 1)  # (b t, m, d)
        x = torch.cat(
            [self.modal_token.expand(x.shape[0], -1, -1).to(x.dtype), x], dim=1
        )
        seen = _seen(chosen)  # (b, t, m) or None
        mask = None
        if seen is not None:
            mask = F.pad(seen.flatten(0, 1), (1, 0), value=True)  # (b t, 1 + m)
        x = self.embd_drop(x)
        for block in self.blocks:
            x = block(x, mask)
        fused = self.norm(x)[:, 0].unflatten(0, first.shape[:2])  # (b, t, d)
        return TokenFeatures(fused, None, None if seen is None else seen.any(-1))

    def _checked(self, feats: Mapping[str, TokenFeatures], name: str) -> TokenFeatures:
        width = self.streams[name]
        if name not in feats or feats[name].tokens.shape[-1] != width:
            found = {key: x.tokens.shape[-1] for key, x in feats.items()}
            raise InputError(
                f"streams have the widths {found}, expected {name!r} with {width}"
            )
        return feats[name]


def _seen(feats: Mapping[str, TokenFeatures]) -> Tensor | None:
    """(b, t, m) bool, False where a stream has no input; None where all have."""
    if all(x.mask is None for x in feats.values()):
        return None
    masks = [
        x.tokens.new_ones(x.tokens.shape[:2], dtype=torch.bool)
        if x.mask is None
        else x.mask
        for x in feats.values()
    ]
    return torch.stack(masks, dim=-1)
