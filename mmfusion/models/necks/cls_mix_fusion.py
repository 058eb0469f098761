"""Paper A's fusion: modality embeddings, one sequence, a mixed CLS token, Mamba.

Shapes: b clips, m streams, l_m tokens of stream m, l all of them, d channels.
"""

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModule, ModuleDict, ModuleList
from torch import Tensor, nn

from mmfusion.models.layers import build_blocks, forward_blocks
from mmfusion.models.protocols import WeighsStreams
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures, match_rows
from mmfusion.utils.errors import InputError, check_choice

CLS_POSITIONS = ("front", "middle", "end")


@MODELS.register_module()
class CLSMixFusion(BaseModule):
    """Fuse streams by a CLS token mixed from theirs (paper A, section 2).

    The defaults are what the paper's words say: T_video before T_skeleton, one Mamba
    block in one direction, and its final value for classification, so the mixed CLS
    token stands at the end. The block is pre-norm with a residual and a final norm,
    as in both encoders (the paper does not say).

    Args:
        mix: config of :class:`NaiveMix`, :class:`AverageMix`, :class:`WeightedMix`,
            :class:`ContextMix` or one of yours; it is given ``embed_dims`` and
            ``num_streams`` and maps cls (b, m, d), tokens (b, l, d) and present (b, m)
            to (b, d).
        embed_dims: d. streams: their order in the sequence.
        in_dims: widths of streams that differ from d; each gets a linear projection.
        num_blocks: Mamba blocks. bidirectional: their direction.
        cls_position: ``front``, ``middle`` (after the first half of the streams) or
            ``end``. The fused vector is read where the CLS token stands.
        d_state: state of the blocks. drop_path_rate: of the last block.

    Example:
        >>> import torch
        >>> neck = CLSMixFusion(dict(type="AverageMix"), embed_dims=16)
        >>> stream = TokenFeatures(torch.randn(2, 5, 16), torch.randn(2, 16))
        >>> neck({"video": stream, "skeleton": stream}).shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        mix: dict,
        embed_dims: int,
        *,
        streams: Sequence[str] = ("video", "skeleton"),
        in_dims: Mapping[str, int] | None = None,
        num_blocks: int = 1,
        bidirectional: bool = False,
        cls_position: str = "end",
        d_state: int = 16,
        drop_path_rate: float = 0.0,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("cls_position", cls_position, CLS_POSITIONS)
        if cls_position != "end" and not bidirectional:
            raise InputError(
                f"cls_position={cls_position!r} needs bidirectional=True: in one"
                " direction only a token at the end has read all the others"
            )
        if len(set(streams)) != len(streams) or len(streams) < 2:
            raise InputError(f"streams is {streams}, expected two or more names")
        unknown = set(in_dims or {}) - set(streams)
        if unknown:
            raise InputError(f"in_dims names {sorted(unknown)}, expected {streams}")
        self.streams = tuple(streams)
        self.embed_dims = embed_dims
        self.cls_position = cls_position
        self.projections = ModuleDict(
            {
                name: nn.Linear(dims, embed_dims)
                for name, dims in (in_dims or {}).items()
            }
        )
        self.modality_embed = nn.Parameter(torch.empty(len(streams), embed_dims))
        nn.init.trunc_normal_(self.modality_embed, std=0.02)
        self.mix = MODELS.build(
            dict(mix, embed_dims=embed_dims, num_streams=len(streams))
        )
        blocks, self.drop_path = build_blocks(
            embed_dims,
            num_blocks,
            bidirectional=bidirectional,
            drop_path_rate=drop_path_rate,
            d_state=d_state,
        )
        self.layers = ModuleList(blocks)
        self.norm_f = nn.RMSNorm(embed_dims, eps=1e-5)

    def forward(self, feats: dict[str, TokenFeatures]) -> Tensor:
        """Mix the CLS tokens and read the joint sequence.

        Args:
            feats: one entry per stream; tokens (b, l_m, d), cls (b, d) or None (then
                the mean of the tokens stands for it), mask (b, l_m) or None. Streams
                of fewer rows than another, which has several questions a clip, are
                repeated.

        Returns:
            The fused vector, (b, d).

        Raises:
            ValueError: a stream is missing or has another width.
        """
        named = {name: self._stream(feats, name) for name in self.streams}
        streams = list(match_rows(named).values())
        cls = torch.stack([stream.summary for stream in streams], dim=1)  # (b, m, d)
        present = self._present(streams)
        mixed = self.mix(cls, torch.cat([s.tokens for s in streams], dim=1), present)
        parts = [
            stream.tokens + embed
            for stream, embed in zip(streams, self.modality_embed, strict=True)
        ]
        before = {"front": 0, "middle": len(parts) // 2, "end": len(parts)}
        place = before[self.cls_position]
        index = sum(part.shape[1] for part in parts[:place])
        parts.insert(place, mixed.unsqueeze(1).to(parts[0].dtype))
        x = torch.cat(parts, dim=1)  # (b, l + 1, d)
        x = forward_blocks(x, self.layers, self.norm_f, self.drop_path)
        return x[:, index]

    def logged_scalars(self) -> dict[str, float]:
        """The mean weight of each stream at the last forward, if the mix has some."""
        if not isinstance(self.mix, WeighsStreams):
            return {}
        names = [f"alpha_{name}" for name in self.streams]
        weights = self.mix.last_weights
        weights = weights if weights.ndim == 1 else weights.mean(0)  # (m,)
        return dict(zip(names, weights.tolist(), strict=True))

    def stream_weights(self) -> dict[str, Tensor]:
        """The weight of each stream at the last forward, () or (b,); empty if none."""
        if not isinstance(self.mix, WeighsStreams):
            return {}
        weights = self.mix.last_weights.unbind(-1)
        return dict(zip(self.streams, weights, strict=True))

    def _stream(self, feats: dict[str, TokenFeatures], name: str) -> TokenFeatures:
        """One stream at width d, with the tokens that are not real set to zero."""
        if name not in feats:
            raise InputError(
                f"the neck fuses {self.streams}, but the encoders give {sorted(feats)}"
            )
        stream = feats[name]
        tokens, cls, mask = stream.tokens, stream.cls, stream.mask
        if name in self.projections:
            project = self.projections[name]
            tokens, cls = project(tokens), None if cls is None else project(cls)
        if tokens.shape[-1] != self.embed_dims:
            raise InputError(
                f"stream {name!r} has width {tokens.shape[-1]}, the neck"
                f" {self.embed_dims}: give in_dims={{{name!r}: {tokens.shape[-1]}}}"
            )
        if mask is not None:
            tokens = tokens * mask.unsqueeze(-1)
        return TokenFeatures(tokens, cls, mask)

    def _present(self, streams: list[TokenFeatures]) -> Tensor | None:
        """(b, m) bool, or None where no stream can be missing."""
        flags = [stream.present for stream in streams]
        if all(flag is None for flag in flags):
            return None
        known = next(flag for flag in flags if flag is not None)
        return torch.stack(
            [torch.ones_like(known) if flag is None else flag for flag in flags], dim=1
        )
