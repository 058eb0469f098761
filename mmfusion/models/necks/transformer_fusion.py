"""The other baselines of paper B's Table 3: self-attention over both streams.

Shapes: b rows, l tokens of all streams, d channels, h heads.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule, ModuleList, Sequential
from torch import Tensor, nn

from mmfusion.models.layers import init_linear
from mmfusion.models.necks.stream_inputs import VIDEO_AND_TEXT, StreamInputs
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures, match_rows
from mmfusion.utils.errors import InputError, check_choice

INPUTS = ("pooled", "tokens")
_MLP_RATIO = 4
_EPS = 1e-6


class TransformerBlock(BaseModule):
    """Norm, attend, add; norm, MLP, add. The qkv projection has no bias.

    Args:
        embed_dims: d. num_heads: h, a divisor of d. drop_rate: of the attention's
            weights and of both branches' outputs. drop_path_rate: in [0, 1).
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_heads, self.drop_rate = num_heads, drop_rate
        self.norm1 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=False)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.norm2 = nn.LayerNorm(embed_dims, eps=_EPS)
        self.mlp = Sequential(
            nn.Linear(embed_dims, _MLP_RATIO * embed_dims),
            nn.GELU(),
            nn.Linear(_MLP_RATIO * embed_dims, embed_dims),
        )
        self.dropout = nn.Dropout(drop_rate)
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(b, l, d), and mask (b, l) of what may be read or None -> (b, l, d)."""
        x = x + self._branch(self._attend(self.norm1(x), mask))
        return x + self._branch(self.mlp(self.norm2(x)))

    def _branch(self, x: Tensor) -> Tensor:
        return self.drop_path(self.dropout(x))

    def _attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        heads = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))  # (b, l, 3, h, d/h)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # (b, h, l, d/h) each
        y = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if mask is None else mask[:, None, None],
            dropout_p=self.drop_rate if self.training else 0.0,
        )
        return self.proj(y.transpose(1, 2).flatten(2))  # (b, l, d)


@MODELS.register_module()
class TransformerFusion(BaseModule):
    """A pre-norm Transformer over the streams (paper B, Table 3).

    Each stream has a learned CLS token in front, a table of positions and an embedding
    of its type; the fused vector is the first stream's CLS token after the last block,
    which no norm follows. Table 3's rows are 6 blocks of 4 heads (50.2 M parameters at
    d = 768, of which 7.68 M are the two tables) and 12 of 12 (92.7 M), both without
    the text's MLP.

    Args:
        embed_dims: d. depth: blocks. num_heads: h of each.
        inputs: ``pooled`` reads one token of each stream, as the paper's do, four
            tokens in all; ``tokens`` reads what :class:`SharedSSMFusion` reads, for a
            fair comparison of fusers.
        streams: settings by stream, see :class:`StreamInputs`; the first one's CLS
            token is the output.
        num_positions: length of each table.
        drop_rate: of the input, the attention and both branches. drop_path_rate: of
            the last block; rates grow linearly from 0.

    Raises:
        ValueError: an unknown ``inputs``, or heads that do not divide d.

    Example:
        >>> import torch
        >>> feats = {n: TokenFeatures(torch.randn(2, 5, 16)) for n in ("video", "text")}
        >>> TransformerFusion(16, depth=2, num_heads=4, num_positions=8)(feats).shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        embed_dims: int,
        *,
        depth: int = 6,
        num_heads: int = 4,
        inputs: str = "pooled",
        streams: Mapping[str, Mapping] = VIDEO_AND_TEXT,
        num_positions: int = 5000,
        drop_rate: float = 0.1,
        drop_path_rate: float = 0.1,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("inputs", inputs, INPUTS)
        if embed_dims % num_heads:
            raise InputError(
                f"embed_dims={embed_dims} is not a multiple of num_heads={num_heads}"
            )
        self.embed_dims, self.pooled = embed_dims, inputs == "pooled"
        self.inputs = StreamInputs(streams, embed_dims)
        count = len(streams)
        self.cls_token = nn.Parameter(torch.empty(count, 1, embed_dims))
        self.pos_embed = nn.Parameter(torch.empty(count, num_positions, embed_dims))
        self.modality_embed = nn.Parameter(torch.empty(count, 1, embed_dims))
        self.dropout = nn.Dropout(drop_rate)
        step = drop_path_rate / max(1, depth - 1)
        self.blocks = ModuleList(
            TransformerBlock(embed_dims, num_heads, drop_rate, step * index)
            for index in range(depth)
        )
        for parameter in (self.cls_token, self.pos_embed, self.modality_embed):
            nn.init.trunc_normal_(parameter, std=0.02)
        self.blocks.apply(init_linear)

    def forward(self, feats: dict[str, TokenFeatures]) -> Tensor:
        """Features by stream -> the fused vector (b, d), b the most rows of a stream.

        Raises:
            ValueError: a stream is missing, has another width, or more tokens than
                there are positions.
        """
        read = self.inputs.summaries if self.pooled else self.inputs
        streams = match_rows(read(feats))
        joined = [
            self._with_cls(stream, index)
            for index, stream in enumerate(streams.values())
        ]
        parts, masks = zip(*joined, strict=True)
        x = self.dropout(torch.cat(parts, dim=1))  # (b, l, d)
        padded = any(stream.mask is not None for stream in streams.values())
        readable = torch.cat(masks, dim=1) if padded else None  # (b, l)
        for block in self.blocks:
            x = block(x, readable)
        return x[:, 0]

    def _with_cls(self, stream: TokenFeatures, index: int) -> tuple[Tensor, Tensor]:
        """A stream's own CLS token, position and type, (b, 1 + l_m, d), and its mask.

        The first stream's CLS token is always read: it is the output.
        """
        tokens, mask = stream.sequence
        batch, length = tokens.shape[:2]
        if length + 1 > self.pos_embed.shape[1]:
            raise InputError(
                f"stream {self.inputs.names[index]!r} has {length} tokens and a CLS"
                f" token, expected at most num_positions={self.pos_embed.shape[1]}"
            )
        cls = self.cls_token[index].to(tokens.dtype).expand(batch, 1, -1)
        x = torch.cat([cls, tokens], dim=1)  # (b, 1 + l_m, d)
        x = x + self.pos_embed[index, : length + 1] + self.modality_embed[index]
        if mask is None:
            return x, x.new_ones(x.shape[:2], dtype=torch.bool)
        front = mask.any(1, keepdim=True)
        front = torch.ones_like(front) if index == 0 else front
        return x, torch.cat([front, mask], dim=1)
