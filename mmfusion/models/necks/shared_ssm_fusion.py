"""Paper B's fusion: a selective scan for each stream, all with one state matrix A.

Shapes: b rows of the stream, l tokens, d channels, e = expand * d inner channels,
n state. Streams may have different b, see :class:`TokenFeatures`.
"""

from collections.abc import Mapping

import torch
from mmengine.model import BaseModule, ModuleDict, ModuleList
from torch import Tensor, nn

from mmfusion.models.layers import build_mixer, new_A_log, new_head_A_log
from mmfusion.models.necks.stream_inputs import VIDEO_AND_TEXT, StreamInputs
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures, row_repeats
from mmfusion.utils.errors import check_choice

POOLINGS = ("mean", "last")


class SharedSSMLayer(BaseModule):
    """Algorithm 1 of paper B with what a Mamba block has around it.

    Each stream has a mixer of its own; the line numbers are Algorithm 1's. Where both
    are on, the order is norm, mix, add.

    Args:
        streams: their names. embed_dims: d. share_A: one A, or one for each stream.
        with_residual: add the input. with_norm: RMSNorm before each mixer.
        with_gate, d_state, d_conv, expand, dt_rank: as in :class:`MambaMixer`.
        mixer, head_dims: as in :func:`build_mixer`; Mamba-2's A has one number a head.
    """

    def __init__(
        self,
        streams: tuple[str, ...],
        embed_dims: int,
        *,
        share_A: bool = True,
        with_residual: bool = False,
        with_norm: bool = False,
        with_gate: bool = True,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dt_rank: int | None = None,
        mixer: str = "mamba",
        head_dims: int = 64,
    ) -> None:
        super().__init__()
        self.with_residual = with_residual
        self.A_log: nn.Parameter | None = None
        if share_A:
            inner = expand * embed_dims
            if mixer == "mamba2":
                self.A_log = new_head_A_log(inner // head_dims)
            else:
                self.A_log = new_A_log(inner, d_state)  # line 1
        mixers, norms = {}, {}
        for name in streams:
            mixers[name] = build_mixer(
                mixer,
                embed_dims,
                d_state=d_state,
                d_conv=d_conv,
                expand=expand,
                dt_rank=dt_rank,
                head_dims=head_dims,
                with_A=not share_A,
                with_gate=with_gate,
            )
            norms[name] = new_norm(embed_dims, with_norm)
        self.mixers = ModuleDict(mixers)
        self.norms = ModuleDict(norms)

    def forward(self, x: Tensor, stream: str) -> Tensor:
        """One stream's tokens (b, l, d) -> (b, l, d).

        The mixer's x_proj gives B (lines 2, 3) and C (4, 5), its dt_proj with the bias
        and softplus gives delta (6, 7), and its scan discretises A and B (8, 9) and
        runs equation 3 (10, 11). Its convolution is equation 5's.
        """
        y = self.mixers[stream](self.norms[stream](x), self.A_log)
        return x + y if self.with_residual else y


def new_norm(embed_dims: int, with_norm: bool) -> nn.Module:
    """An RMSNorm over (..., d), or nothing."""
    return nn.RMSNorm(embed_dims, eps=1e-5) if with_norm else nn.Identity()


@MODELS.register_module()
class SharedSSMFusion(BaseModule):
    """Fuse any number of streams by scans that share A (paper B, algorithm 1).

    A stream's tokens, with its CLS token in front where it has one, pass through its
    own MLP, convolution and projections (equation 5, lines 2 to 7) and a scan with the
    A of all (lines 8 to 11); the outputs are averaged over the sequence and summed
    over the streams (section 3.2). A's gradient is the sum over the streams.

    The defaults are the released form: one layer, D skip and gate as in Mamba, no
    norm, no residual, an MLP on the text only. It has two differences: padding does
    not count (``count_padding``), and A, delta's bias and the rest keep Mamba's start,
    which the release overwrites (A with noise around -1, the bias with zeros).

    Args:
        embed_dims: d. streams: settings by stream, see :class:`StreamInputs`; by
            default ``video`` as it is and ``text`` through its MLP. The paper's figure
            has the MLP on both: ``dict(video=dict(mlp=True), ...)``.
        num_layers: of Algorithm 1, each with an A of its own.
        share_A: False gives each stream its own A, the ablation.
        with_residual: add each layer's input to its output. with_norm: RMSNorm before
            each layer and before the pooling. with_gate: Mamba's gate.
        pooling: ``mean`` over the real tokens, or the ``last`` real one.
        count_padding: take padding for tokens, in the scan and in the pooling, as the
            release does: its mean is over all 40 positions of a question. A stream
            that a sample lacks altogether is left out all the same.
        d_state, d_conv, expand, dt_rank: as in :class:`MambaMixer`.
        mixer: ``mamba``, as in the paper, or ``mamba2``: state space duality, of which
            streams share one decay a head. head_dims: channels of Mamba-2's heads.

    Raises:
        ValueError: an unknown pooling, or a wrong setting of a stream.

    Example:
        >>> import torch
        >>> neck = SharedSSMFusion(16)
        >>> video = TokenFeatures(torch.randn(2, 7, 16), torch.randn(2, 16))
        >>> neck({"video": video, "text": TokenFeatures(torch.randn(2, 5, 16))}).shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        embed_dims: int,
        *,
        streams: Mapping[str, Mapping] = VIDEO_AND_TEXT,
        num_layers: int = 1,
        share_A: bool = True,
        with_residual: bool = False,
        with_norm: bool = False,
        with_gate: bool = True,
        pooling: str = "mean",
        count_padding: bool = False,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dt_rank: int | None = None,
        mixer: str = "mamba",
        head_dims: int = 64,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("pooling", pooling, POOLINGS)
        self.embed_dims = embed_dims
        self.pooling = pooling
        self.count_padding = count_padding
        self.inputs = StreamInputs(streams, embed_dims)
        self.layers = ModuleList(
            SharedSSMLayer(
                self.inputs.names,
                embed_dims,
                share_A=share_A,
                with_residual=with_residual,
                with_norm=with_norm,
                with_gate=with_gate,
                d_state=d_state,
                d_conv=d_conv,
                expand=expand,
                dt_rank=dt_rank,
                mixer=mixer,
                head_dims=head_dims,
            )
            for _ in range(num_layers)
        )
        self.norms = ModuleDict(
            {name: new_norm(embed_dims, with_norm) for name in self.inputs.names}
        )

    def forward(self, feats: dict[str, TokenFeatures]) -> Tensor:
        """Fuse the streams.

        Args:
            feats: one entry per stream; tokens (b, l, c), cls (b, c) or None, mask
                (b, l) or None. Where a stream has q rows for each row of another, the
                other's result is used for all q; it is computed once.

        Returns:
            The fused vector, (the most rows, d).

        Raises:
            ValueError: a stream is missing, has another width, or rows that do not
                divide the most.
        """
        pooled = {
            name: self._stream(name, stream)  # (b, d)
            for name, stream in self.inputs(feats).items()
        }
        times = row_repeats({name: x.shape[0] for name, x in pooled.items()})
        parts = [x.repeat_interleave(times[name], 0) for name, x in pooled.items()]
        return torch.stack(parts).sum(0)  # (most, d), line 12's outputs summed

    def _stream(self, name: str, stream: TokenFeatures) -> Tensor:
        """One stream through every layer, pooled to (b, d)."""
        x, mask = stream.sequence  # (b, l, d), (b, l) or None
        present = stream.present
        if self.count_padding:
            mask = None
        if mask is not None:
            x, mask = real_tokens_first(x, mask)
        for layer in self.layers:
            x = layer(x, name)
        x = pool(self.norms[name](x), mask, self.pooling)
        return x if present is None else x * present.unsqueeze(-1).to(x.dtype)


def real_tokens_first(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move the real tokens of each row to its front, in their order; the rest are 0.

    A causal scan then reads what it would read without any padding, wherever the
    padding stood.

    Args:
        x: (b, l, d). mask: (b, l) bool.

    Returns:
        The same shapes, the mask's True values first.
    """
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)  # (b, l)
    mask = mask.gather(1, order)
    x = x.gather(1, order.unsqueeze(-1).expand_as(x))
    return x.masked_fill(~mask.unsqueeze(-1), 0), mask


def pool(x: Tensor, mask: Tensor | None, pooling: str) -> Tensor:
    """(b, l, d) and a mask (b, l), real tokens first, or None -> (b, d).

    A row without any real token gives its first one for ``last``, and 0 for ``mean``.
    """
    if mask is None:
        return x.mean(1) if pooling == "mean" else x[:, -1]
    count = mask.sum(1).clamp(min=1)  # (b,)
    if pooling == "last":
        return x[torch.arange(x.shape[0], device=x.device), count - 1]
    total = x.masked_fill(~mask.unsqueeze(-1), 0).sum(1)  # (b, d)
    return total / count.unsqueeze(-1).to(x.dtype)
