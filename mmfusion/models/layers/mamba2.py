"""The layer of Mamba-2, in one direction or in both, with the published names.

Shapes: b batch, l tokens, d d_model, e = expand * d inner channels, h heads of p
channels, n state, i = e + 2n what the convolution reads.
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.models.layers.mamba import (
    Linear,
    MambaMixer,
    MixerState,
    new_dt_bias,
    new_mixer_state,
)
from mmfusion.ops import (
    causal_conv1d,
    causal_conv1d_update,
    full_precision,
    ssd,
    ssd_state_update,
)
from mmfusion.utils.errors import InputError, check_choice

MIXERS = ("mamba", "mamba2")
_A_RANGE = (1.0, 16.0)  # what -A is drawn from, uniformly


class Mamba2Mixer(BaseModule):
    """A Mamba-2 layer over tokens (Dao and Gu, 2024, arXiv 2405.21060, section 7).

    To be used where a :class:`MambaMixer` is: one decay a head in place of one a
    channel and state, B and C shared by all heads and convolved with x, a norm behind
    the gate. Parameters have the names and the order of ``mamba2_simple.py`` of
    state-spaces/mamba (e9594ce, one group), so that its weights load as they are.
    ``bidirectional`` is not published: as in VideoMamba's layer one in_proj and one
    out_proj (and one norm) serve both directions, each has its own convolution, delta's
    bias, A and D (suffix ``_b``), and the scans are summed before the gate.

    Args:
        d_model: channels of a token. d_state: n. d_conv: width of the convolution.
        expand: e = expand * d_model. head_dims: p, a divisor of e.
        bidirectional: whether to read the tokens from both ends.
        with_A: whether the layer has decays of its own; without, ``forward`` is given
            them.
        chunk: tokens of a chunk, see :func:`mmfusion.ops.ssd`.

    Raises:
        ValueError: p does not divide e, or both directions are to share one A.

    Example:
        >>> Mamba2Mixer(16, d_state=8, head_dims=8)(torch.randn(2, 5, 16)).shape
        torch.Size([2, 5, 16])
    """

    def __init__(
        self,
        d_model: int,
        *,
        d_state: int = 64,
        d_conv: int = 4,
        expand: int = 2,
        head_dims: int = 64,
        bidirectional: bool = False,
        with_A: bool = True,
        chunk: int = 64,
    ) -> None:
        super().__init__()
        if bidirectional and not with_A:
            raise InputError("with_A=False is for one direction: a shared A is one A")
        self.d_inner, self.d_state = expand * d_model, d_state
        if self.d_inner % head_dims:
            raise InputError(
                f"head_dims={head_dims}, expected a divisor of the {self.d_inner} inner"
                f" channels (expand={expand} times d_model={d_model})"
            )
        self.num_heads, self.head_dims = self.d_inner // head_dims, head_dims
        self.bidirectional, self.with_A, self.chunk = bidirectional, with_A, chunk
        inner, heads = self.d_inner, self.num_heads
        self.in_proj = Linear(d_model, 2 * inner + 2 * d_state + heads)
        for suffix in ("", "_b") if bidirectional else ("",):
            width = inner + 2 * d_state
            conv1d = nn.Conv1d(width, width, d_conv, groups=width)
            setattr(self, f"conv1d{suffix}", conv1d)
            setattr(self, f"dt_bias{suffix}", nn.Parameter(new_dt_bias(heads)))
            if with_A:
                setattr(self, f"A{suffix}_log", new_head_A_log(heads))
            setattr(self, f"D{suffix}", nn.Parameter(torch.ones(heads)))
        self.norm = nn.RMSNorm(inner, eps=1e-5)
        self.out_proj = Linear(inner, d_model)

    def forward(
        self, x: Tensor, A_log: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Mix tokens.

        Args:
            x: (b, l, d). A_log: (h,), log(-A) of a layer without its own.
            mask: (b, l), as in :meth:`MambaMixer.forward`.

        Returns:
            (b, l, d).
        """
        z, inputs, delta = self._split(self.in_proj(x))
        if mask is not None:
            inputs = inputs.masked_fill(~mask.unsqueeze(-1), 0)
        y = self._scan("", inputs, delta, A_log, mask)
        if self.bidirectional:
            y = y + self._scan("_b", inputs, delta, A_log, mask)
        return self._gated(y, z)

    def allocate_state(self, batch_size: int) -> MixerState:
        """The state before the first token of a stream: zeros.

        Raises:
            ValueError: the mixer is bidirectional, so it cannot read a stream.
        """
        sizes = self.num_heads, self.head_dims, self.d_state
        return new_mixer_state(self, batch_size, sizes)

    def step(
        self, x: Tensor, state: MixerState, A_log: Tensor | None = None
    ) -> tuple[Tensor, MixerState]:
        """Mix one token of a stream; token by token it equals :meth:`forward`.

        Args:
            x: (b, d). state: from the token before, or :meth:`allocate_state`.
            A_log: as in :meth:`forward`.

        Returns:
            (b, d) and the state for the next token.
        """
        z, inputs, delta = self._split(self.in_proj(x))
        weight, bias = self.conv1d.weight.squeeze(1), self.conv1d.bias
        inputs, conv = causal_conv1d_update(inputs, state.conv, weight, bias, "silu")
        u, B, C, delta, A = self._scan_inputs("", inputs, delta, A_log)
        y, scan = ssd_state_update(state.scan, u, delta, A, B, C, self.D)
        return self._gated(y.flatten(-2), z), MixerState(conv, scan)

    def _split(self, x: Tensor) -> tuple[Tensor, ...]:
        """Split in_proj's: the gate (..., e), x B C (..., i), delta (..., h)."""
        sizes = [self.d_inner, self.d_inner + 2 * self.d_state, self.num_heads]
        return x.split(sizes, dim=-1)

    def _scan(
        self,
        suffix: str,
        inputs: Tensor,
        delta: Tensor,
        A_log: Tensor | None,
        mask: Tensor | None,
    ) -> Tensor:
        """One direction: (b, l, i) and (b, l, h) -> (b, l, e)."""
        conv1d, reverse = getattr(self, f"conv1d{suffix}"), suffix == "_b"
        inputs = causal_conv1d(
            inputs, conv1d.weight.squeeze(1), conv1d.bias, "silu", reverse=reverse
        )
        u, B, C, delta, A = self._scan_inputs(suffix, inputs, delta, A_log)
        if mask is not None:  # padding neither fades nor feeds the state
            delta = delta.masked_fill(~mask.unsqueeze(-1), 0)
        D = getattr(self, f"D{suffix}")
        return ssd(u, delta, A, B, C, D, reverse=reverse, chunk=self.chunk)[0].flatten(
            -2
        )

    def _scan_inputs(
        self, suffix: str, inputs: Tensor, delta: Tensor, A_log: Tensor | None
    ) -> tuple[Tensor, ...]:
        """u (..., h, p), B and C (..., 1, n), delta (..., h) and A (h,)."""
        if (A_log is None) is not self.with_A:
            raise InputError(
                f"A_log is {'not ' if A_log is None else ''}given to a Mamba2Mixer with"
                f" with_A={self.with_A}, expected it with with_A=False only"
            )
        u, B, C = inputs.split([self.d_inner, self.d_state, self.d_state], dim=-1)
        with full_precision(delta):
            bias = getattr(self, f"dt_bias{suffix}")
            delta = F.softplus(delta.to(bias.dtype) + bias)
            A_log = getattr(self, f"A{suffix}_log") if A_log is None else A_log
            A = -A_log.exp()
        u = u.unflatten(-1, (self.num_heads, self.head_dims))
        return u, B.unsqueeze(-2), C.unsqueeze(-2), delta, A

    def _gated(self, y: Tensor, z: Tensor) -> Tensor:
        """Gate (..., e), norm and project to (..., d)."""
        return self.out_proj(self.norm(y * F.silu(z)))


def new_head_A_log(heads: int) -> nn.Parameter:
    """-A uniform in [1, 16] for every head, as its logarithm (h,)."""
    return nn.Parameter(torch.empty(heads).uniform_(*_A_RANGE).log())


def build_mixer(
    kind: str,
    d_model: int,
    *,
    d_state: int,
    d_conv: int = 4,
    expand: int = 2,
    dt_rank: int | None = None,
    head_dims: int = 64,
    bidirectional: bool = False,
    with_A: bool = True,
    with_gate: bool = True,
) -> MambaMixer | Mamba2Mixer:
    """A mixer by its name.

    Args:
        kind: ``mamba`` or ``mamba2``. d_model, d_state, d_conv, expand, bidirectional,
            with_A: of both. dt_rank, with_gate: as in :class:`MambaMixer`.
        head_dims: as in :class:`Mamba2Mixer`.

    Raises:
        ValueError: an unknown name, or a setting that the named one has not.
    """
    check_choice("mixer", kind, MIXERS)
    if kind == "mamba":
        return MambaMixer(
            d_model,
            d_state=d_state,
            d_conv=d_conv,
            expand=expand,
            dt_rank=dt_rank,
            bidirectional=bidirectional,
            with_A=with_A,
            with_gate=with_gate,
        )
    if dt_rank is not None or not with_gate:
        raise InputError(
            f"mixer='mamba2' with dt_rank={dt_rank}, with_gate={with_gate}; it has one"
            " delta a head and always a gate: leave both out"
        )
    return Mamba2Mixer(
        d_model,
        d_state=d_state,
        d_conv=d_conv,
        expand=expand,
        head_dims=head_dims,
        bidirectional=bidirectional,
        with_A=with_A,
    )
