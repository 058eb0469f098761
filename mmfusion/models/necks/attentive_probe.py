"""V-JEPA's attentive probe: one learned query reads the tokens of a frozen encoder.

Shapes: b rows, l tokens of all streams, d channels, h heads.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.layers import Mlp, init_linear
from mmfusion.models.necks.stream_inputs import StreamInputs
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures, match_rows
from mmfusion.utils.errors import InputError

_EPS = 1e-6
_STD = 0.02
_VIDEO: Mapping[str, Mapping] = {"video": {}}


class PoolerAttention(BaseModule):
    """Attention of queries to tokens, in h heads.

    Args:
        embed_dims: d. num_heads: h. projects: with a linear layer behind.
    """

    def __init__(self, embed_dims: int, num_heads: int, projects: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = nn.Linear(embed_dims, embed_dims)
        self.k_proj = nn.Linear(embed_dims, embed_dims)
        self.v_proj = nn.Linear(embed_dims, embed_dims)
        if projects:
            self.out_proj = nn.Linear(embed_dims, embed_dims)
        self.projects = projects

    def forward(self, x: Tensor, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """(b, n, d), tokens (b, l, d), mask (b, l) or None -> (b, n, d)."""
        q, k, v = (
            layer(value).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for layer, value in (
                (self.q_proj, x),
                (self.k_proj, tokens),
                (self.v_proj, tokens),
            )
        )  # (b, h, n or l, d / h) each
        readable = None if mask is None else mask[:, None, None]  # (b, 1, 1, l)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=readable)
        x = x.transpose(1, 2).flatten(2)  # (b, n, d)
        return self.out_proj(x) if self.projects else x


class SelfAttentionLayer(BaseModule):
    """Norm, attend, add; norm, MLP, add."""

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.self_attn = PoolerAttention(embed_dims, num_heads, projects=True)
        self.layer_norm2 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.mlp = Mlp(embed_dims)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(b, l, d), mask (b, l) or None -> (b, l, d)."""
        normed = self.layer_norm1(x)
        x = x + self.self_attn(normed, normed, mask)
        return x + self.mlp(self.layer_norm2(x))


class CrossAttentionLayer(BaseModule):
    """The query, which no norm precedes, attends to normed tokens; then an MLP."""

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.cross_attn = PoolerAttention(embed_dims, num_heads, projects=False)
        self.layer_norm2 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.mlp = Mlp(embed_dims)

    def forward(self, query: Tensor, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """(b, 1, d), tokens (b, l, d), mask (b, l) or None -> (b, 1, d)."""
        x = query + self.cross_attn(query, self.layer_norm1(tokens), mask)
        return x + self.mlp(self.layer_norm2(x))


@MODELS.register_module()
class AttentiveProbe(BaseModule):
    """Pool the tokens of all streams by one learned query.

    The evaluation of V-JEPA (Bardes et al., arXiv 2404.08471, section 4.2) with a
    frozen encoder, and of V-JEPA 2 (arXiv 2506.09985) with ``depth=4``: three blocks of
    self-attention before the query's. Parameters bear the names of transformers'
    ``VJEPA2ForVideoClassification``, whose published ``pooler.`` fits:
    ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='pooler.')``. It has
    depth (12 d^2 + 13 d) - d^2 parameters: 6.5 M at d = 768 and depth 1.

    Args:
        embed_dims: d. depth: blocks, the query's among them. num_heads: h; V-JEPA 2 has
            16.
        streams: settings by stream, see :class:`StreamInputs`.

    Raises:
        ValueError: no blocks, or heads that do not divide d.

    Example:
        >>> feats = {"video": TokenFeatures(torch.randn(2, 5, 16))}
        >>> AttentiveProbe(16, num_heads=4)(feats).shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        embed_dims: int,
        *,
        depth: int = 1,
        num_heads: int = 16,
        streams: Mapping[str, Mapping] = _VIDEO,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if depth < 1 or embed_dims % num_heads:
            raise InputError(
                f"depth is {depth}, embed_dims {embed_dims}, num_heads {num_heads};"
                " expected 1 block or more, and heads that divide embed_dims"
            )
        self.embed_dims = embed_dims
        self.inputs = StreamInputs(streams, embed_dims)
        self.query_tokens = nn.Parameter(torch.empty(1, 1, embed_dims))
        self.cross_attention_layer = CrossAttentionLayer(embed_dims, num_heads)
        self.self_attention_layers = ModuleList(
            SelfAttentionLayer(embed_dims, num_heads) for _ in range(depth - 1)
        )
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Normal 0.02; what ends a branch of block i is smaller by sqrt(i)."""
        nn.init.trunc_normal_(self.query_tokens, std=_STD)
        self.cross_attention_layer.apply(init_linear)
        self.self_attention_layers.apply(init_linear)
        ends = [(x.self_attn.out_proj, x.mlp.fc2) for x in self.self_attention_layers]
        for number, layers in enumerate([*ends, (self.cross_attention_layer.mlp.fc2,)]):
            for layer in layers:
                nn.init.trunc_normal_(layer.weight, std=_STD / (number + 1) ** 0.5)

    def forward(self, feats: dict[str, TokenFeatures]) -> Tensor:
        """Features by stream -> (b, d), b the most rows of a stream.

        A row without any real token reads the first as if it were one.

        Raises:
            ValueError: a stream is missing or has another width.
        """
        streams = match_rows(self.inputs(feats)).values()
        parts = [stream.sequence for stream in streams]
        x = torch.cat([tokens for tokens, _ in parts], dim=1)  # (b, l, d)
        mask = None
        if any(given is not None for _, given in parts):
            mask = torch.cat([_all_real(*part) for part in parts], dim=1)  # (b, l)
            nothing = ~mask.any(1, keepdim=True)
            mask = torch.cat([mask[:, :1] | nothing, mask[:, 1:]], dim=1)
        for layer in self.self_attention_layers:
            x = layer(x, mask)
        query = self.query_tokens.to(x.dtype).expand(x.shape[0], -1, -1)
        return self.cross_attention_layer(query, x, mask).squeeze(1)


def _all_real(tokens: Tensor, mask: Tensor | None) -> Tensor:
    """The mask (b, l), all True where there is none."""
    return tokens.new_ones(tokens.shape[:2], dtype=torch.bool) if mask is None else mask
