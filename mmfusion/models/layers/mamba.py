"""The Mamba block, in one direction or in both, with the published parameter names.

Shapes: b batch, l tokens, d d_model, e = expand * d inner channels, n state, r dt_rank.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, cast

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.models.layers.clips import run_block
from mmfusion.ops import (
    InnerParameters,
    ScanInputs,
    add_rms_norm,
    causal_conv1d,
    causal_conv1d_update,
    linear,
    mamba_inner,
    project,
    selective_state_update,
)
from mmfusion.utils.errors import InputError

_DT_RANGE = (1e-3, 1e-1)  # what softplus(dt bias) is drawn from, log-uniformly
_DT_FLOOR = 1e-4


class MixerState(NamedTuple):
    """Memory of a mixer in one direction that reads a stream; its size never grows.

    Attributes:
        conv: (b, e, w - 1), the tokens that the convolution still sees.
        scan: (b, e, n), the state of the scan.
    """

    conv: Tensor
    scan: Tensor


class Linear(nn.Linear):
    """``nn.Linear`` without a bias, by :func:`mmfusion.ops.linear`."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        return linear(x, self.weight)


class MambaMixer(BaseModule):
    """A selective state space layer over tokens (Gu and Dao, 2023, figure 3).

    With ``bidirectional`` it is VideoMamba's: one in_proj and out_proj serve both
    directions, each direction has its own convolution, x_proj, dt_proj, A and D, and
    the two results are summed before the gate's product reaches out_proj. Parameters
    of the second direction bear the published suffix ``_b``.

    Args:
        d_model: channels of a token. d_state: size n of the state per channel.
        d_conv: width of the causal convolution. expand: e = expand * d_model.
        dt_rank: rank of delta's projection; None means ceil(d_model / 16).
        bidirectional: whether to read the tokens from both ends.
        divide_out: halve the sum of the two directions, as Vim does.
        with_A: whether the layer has a state matrix of its own; without, ``forward``
            is given one, which several mixers may share (paper B).
        with_gate: whether the other half of in_proj gates the scan's output.

    Example:
        >>> import torch
        >>> MambaMixer(16, bidirectional=True)(torch.randn(2, 5, 16)).shape
        torch.Size([2, 5, 16])
    """

    def __init__(
        self,
        d_model: int,
        *,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dt_rank: int | None = None,
        bidirectional: bool = False,
        divide_out: bool = False,
        with_A: bool = True,
        with_gate: bool = True,
    ) -> None:
        super().__init__()
        if bidirectional and not with_A:
            raise InputError("with_A=False is for one direction: a shared A is one A")
        self.d_inner = expand * d_model
        self.d_state = d_state
        self.dt_rank = dt_rank or math.ceil(d_model / 16)
        self.bidirectional = bidirectional
        self.divide_out = divide_out
        self.with_A, self.with_gate = with_A, with_gate
        parts = 2 if with_gate else 1
        self.in_proj = Linear(d_model, parts * self.d_inner)
        self.out_proj = Linear(self.d_inner, d_model)
        for suffix in self._suffixes():
            self._add_direction(suffix, d_conv)

    def _suffixes(self) -> tuple[str, ...]:
        return ("", "_b") if self.bidirectional else ("",)

    def _add_direction(self, suffix: str, d_conv: int) -> None:
        inner, rank, states = self.d_inner, self.dt_rank, self.d_state
        conv1d = nn.Conv1d(inner, inner, d_conv, groups=inner)
        setattr(self, f"conv1d{suffix}", conv1d)
        x_proj = nn.Linear(inner, rank + 2 * states, bias=False)
        setattr(self, f"x_proj{suffix}", x_proj)
        dt_proj = nn.Linear(rank, inner)
        init_dt_proj(dt_proj)
        setattr(self, f"dt_proj{suffix}", dt_proj)
        if self.with_A:
            setattr(self, f"A{suffix}_log", new_A_log(inner, states))
        setattr(self, f"D{suffix}", nn.Parameter(torch.ones(inner)))

    def forward(
        self, x: Tensor, A_log: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Mix tokens.

        Args:
            x: (b, l, d). A_log: (e, n), log(-A) of a layer without its own.
            mask: (b, l), True for real tokens, which stand first in their row. With it
                the way back begins at the last real one: a row gets the numbers that
                it gets without padding.

        Returns:
            (b, l, d).
        """
        forward = self._inner("", A_log)
        backward = self._inner("_b", A_log) if self.bidirectional else None
        xz = self.in_proj(x)
        if mask is None or backward is None:
            y = mamba_inner(xz, forward, backward, gated=self.with_gate)
        else:
            turned = turn_rows(xz, mask)
            back = mamba_inner(turned, backward, gated=self.with_gate)
            y = mamba_inner(xz, forward, gated=self.with_gate) + turn_rows(back, mask)
        return self.out_proj(y / 2 if self.divide_out else y)

    def allocate_state(self, batch_size: int) -> MixerState:
        """The state before the first token of a stream: zeros.

        Raises:
            ValueError: the mixer is bidirectional, so it cannot read a stream.
        """
        return new_mixer_state(self, batch_size, (self.d_inner, self.d_state))

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
        inputs, z = self.in_proj(x), None  # (b, e) each
        if self.with_gate:
            inputs, z = inputs.chunk(2, dim=-1)
        own = self._inner("", A_log)
        u, conv = causal_conv1d_update(
            inputs, state.conv, own.conv_weight, own.conv_bias, "silu"
        )
        u, delta, A, B, C, D, delta_bias = project(u, own)
        y, scan = selective_state_update(
            state.scan, u, delta, A, B, C, D, z, delta_bias, delta_softplus=True
        )
        return self.out_proj(y), MixerState(conv, scan)

    def scan_inputs(self, x: Tensor) -> tuple[ScanInputs, Tensor]:
        """Inputs of a scan, for those who scan by themselves, and the gate.

        Args:
            x: (b, l, d).

        Returns:
            The inputs of :func:`mmfusion.ops.selective_scan`, u (b, l, e), delta before
            its bias and softplus, and z (b, l, e). ``out_proj`` is the caller's.

        Raises:
            ValueError: the mixer is bidirectional, or has no A or no gate.
        """
        if self.bidirectional or not self.with_gate:
            raise InputError(
                f"bidirectional={self.bidirectional}, with_gate={self.with_gate} of a"
                " MambaMixer, expected one direction and a gate"
            )
        u, z = self.in_proj(x).chunk(2, dim=-1)  # (b, l, e) each
        own = self._inner("", None)
        u = causal_conv1d(u, own.conv_weight, own.conv_bias, "silu")
        return project(u, own), z

    def _inner(self, suffix: str, A_log: Tensor | None) -> InnerParameters:
        """The parameters of one direction, with the A that it was given."""
        if (A_log is None) is not self.with_A:
            raise InputError(
                f"A_log is {'not ' if A_log is None else ''}given to a MambaMixer with"
                f" with_A={self.with_A}, expected it with with_A=False only"
            )
        conv1d = self._read("conv1d", suffix, nn.Conv1d)
        dt_proj = self._read("dt_proj", suffix, nn.Linear)
        return InnerParameters(
            conv1d.weight.squeeze(1),
            conv1d.bias,
            self._read("x_proj", suffix, nn.Linear).weight,
            dt_proj.weight,
            dt_proj.bias,
            getattr(self, f"A{suffix}_log") if A_log is None else A_log,
            getattr(self, f"D{suffix}"),
        )

    def _read(self, name: str, suffix: str, kind: type[nn.Module]) -> Any:
        """A module whose parameters are read: it is not called, nor are its hooks."""
        module = getattr(self, name + suffix)
        if type(module).forward is not kind.forward:
            raise TypeError(
                f"{name}{suffix} of a MambaMixer is a {type(module).__name__}: it"
                f" reads the parameters of an nn.{kind.__name__} and does not call it,"
                " so what a wrapper adds (LoRA, quantisation) would be lost; wrap"
                " in_proj and out_proj, which are called, or use"
                " torch.nn.utils.parametrize"
            )
        return module


def turn_rows(x: Tensor, mask: Tensor) -> Tensor:
    """Reverse the real tokens of each row, which stand first; the rest stay behind.

    Args:
        x: (b, l, d). mask: (b, l) bool.

    Returns:
        (b, l, d); turned twice it is x again.
    """
    index = torch.arange(x.shape[1], device=x.device).expand_as(mask)  # (b, l)
    order = torch.where(mask, mask.sum(1, keepdim=True) - 1 - index, index)
    return x.gather(1, order.unsqueeze(-1).expand_as(x))


def new_mixer_state(
    mixer: Any, batch_size: int, scan_sizes: tuple[int, ...]
) -> MixerState:
    """A mixer's state before the first token of a stream: zeros.

    Args:
        mixer: with ``bidirectional`` and the convolution ``conv1d``.
        scan_sizes: those of its scan's state behind the batch's.

    Raises:
        ValueError: the mixer is bidirectional, so it cannot read a stream.
    """
    if mixer.bidirectional:
        raise InputError(
            "a bidirectional mixer reads whole sequences; streaming needs"
            " bidirectional=False"
        )
    weight = mixer.conv1d.weight  # (channels, 1, w)
    conv = weight.new_zeros(batch_size, weight.shape[0], weight.shape[-1] - 1)
    dtype = torch.promote_types(weight.dtype, torch.float32)
    return MixerState(conv, weight.new_zeros(batch_size, *scan_sizes, dtype=dtype))


def new_A_log(d_inner: int, d_state: int) -> nn.Parameter:
    """S4D-real: A = -(1..n) for every channel, as its logarithm (e, n)."""
    return nn.Parameter(torch.arange(1.0, d_state + 1).repeat(d_inner, 1).log())


def init_dt_proj(dt_proj: nn.Linear) -> None:
    """Mamba's start of delta: softplus(bias) log-uniform in [0.001, 0.1]."""
    bound = dt_proj.in_features**-0.5
    nn.init.uniform_(dt_proj.weight, -bound, bound)
    with torch.no_grad():
        dt_proj.bias.copy_(new_dt_bias(dt_proj.out_features))


def new_dt_bias(size: int) -> Tensor:
    """Values (size,) whose softplus is log-uniform in [0.001, 0.1]."""
    low, high = (math.log(value) for value in _DT_RANGE)
    dt = torch.exp(torch.empty(size).uniform_(low, high))
    dt = dt.clamp(min=_DT_FLOOR)
    return dt + torch.log(-torch.expm1(-dt))  # softplus inverted


class MambaBlock(BaseModule):
    """Add, norm, mix: a Mamba block in the order of the published code.

    It carries (hidden, residual) so that the sum stays in float32 and the next block
    starts with the add. ``drop_path`` acts on the incoming hidden.

    Args:
        mixer: the layer over tokens. d_model: channels. drop_path_rate: in [0, 1).
    """

    def __init__(self, mixer: nn.Module, d_model: int, drop_path_rate: float = 0.0):
        super().__init__()
        self.mixer = mixer
        self.norm = nn.RMSNorm(d_model, eps=1e-5)
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate else nn.Identity()

    def forward(
        self, hidden: Tensor, residual: Tensor | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(b, l, d) hidden and residual (None before the first block) -> the same.

        ``mask`` (b, l) as in :meth:`MambaMixer.forward`.
        """
        hidden, residual = add_norm(self.drop_path(hidden), residual, self.norm)
        if mask is None:
            return self.mixer(hidden), residual
        mixed = self.mixer(hidden, mask=mask)
        return mixed.masked_fill(~mask.unsqueeze(-1), 0), residual

    def step(
        self, hidden: Tensor, residual: Tensor | None, state: MixerState
    ) -> tuple[Tensor, Tensor, MixerState]:
        """One token of a stream, (b, d); see :meth:`MambaMixer.step`."""
        hidden, residual = add_norm(self.drop_path(hidden), residual, self.norm)
        hidden, state = cast(MambaMixer, self.mixer).step(hidden, state)
        return hidden, residual, state


def add_norm(
    hidden: Tensor, residual: Tensor | None, norm: nn.RMSNorm
) -> tuple[Tensor, Tensor]:
    """Add and norm (..., d): the norm in hidden's dtype, the sum in full precision."""
    return add_rms_norm(hidden, residual, norm.weight, norm.eps)


def forward_blocks(
    x: Tensor,
    blocks: Iterable[nn.Module],
    norm: nn.RMSNorm,
    drop_path: nn.Module,
    with_cp: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Run (b, l, d) through blocks, the last add and the final norm: (b, l, d).

    With ``with_cp`` each block is recomputed in the backward; ``mask`` (b, l) as in
    :meth:`MambaMixer.forward`.
    """
    hidden, residual = x, None
    given = () if mask is None else (mask,)
    for block in blocks:
        hidden, residual = run_block(block, with_cp, hidden, residual, *given)
    return add_norm(drop_path(hidden), residual, norm)[0].to(x.dtype)


def step_blocks(
    x: Tensor,
    blocks: Iterable[MambaBlock],
    states: Sequence[MixerState],
    norm: nn.RMSNorm,
    drop_path: nn.Module,
) -> tuple[Tensor, list[MixerState]]:
    """:func:`forward_blocks` for one token of a stream, in one direction.

    Args:
        x: (b, d). states: one a block, from the token before or
            ``block.mixer.allocate_state(b)``.

    Returns:
        (b, d) and the states for the next token.
    """
    hidden, residual, following = x, None, []
    for block, state in zip(blocks, states, strict=True):
        hidden, residual, state = block.step(hidden, residual, state)
        following.append(state)
    return add_norm(drop_path(hidden), residual, norm)[0].to(x.dtype), following


def build_blocks(
    d_model: int,
    depth: int,
    *,
    bidirectional: bool,
    drop_path_rate: float = 0.0,
    divide_out: bool = False,
    d_state: int = 16,
    d_conv: int = 4,
    expand: int = 2,
    new_mixer: Callable[[], nn.Module] | None = None,
) -> tuple[list[MambaBlock], nn.Module]:
    """``depth`` Mamba blocks and the drop path of the last add.

    ``new_mixer`` makes each block's layer in place of the :class:`MambaMixer` that the
    other arguments describe.
    Rates grow linearly to ``drop_path_rate``; the published list starts with two zeros
    because the first block has no branch before it.
    """
    step = drop_path_rate / max(1, depth - 1)
    rates = [0.0, *(step * index for index in range(depth))]
    blocks = []
    for index in range(depth):
        mixer = (
            MambaMixer(
                d_model,
                d_state=d_state,
                d_conv=d_conv,
                expand=expand,
                bidirectional=bidirectional,
                divide_out=divide_out,
            )
            if new_mixer is None
            else new_mixer()
        )
        blocks.append(MambaBlock(mixer, d_model, rates[index]))
    last = DropPath(drop_path_rate) if drop_path_rate else nn.Identity()
    return blocks, last


def init_vision_mamba(
    module: nn.Module, depth: int, reset_dt: bool = True, std: float | None = 0.02
) -> None:
    """VideoMamba's initialisation of its blocks and projections.

    Every Linear weight is drawn from a normal of ``std`` and its bias is zeroed;
    out_proj is drawn from its usual range, divided by sqrt(depth).

    Args:
        module: what holds the blocks. depth: its number of blocks.
        reset_dt: whether dt_proj is reset too, so that delta starts at softplus(0) =
            0.69, a memory of a few tokens. The published code does so; without it
            Mamba's own range of 0.001 to 0.1 stays.
        std: None leaves the others as PyTorch starts them, by their width. 0.02 is for
            the published ones: at 64 channels the state, a product of three such
            layers' outputs, begins so near zero that no token hears of a far one.
    """
    for name, child in module.named_modules():
        if isinstance(child, nn.Linear):
            if "dt_proj" in name and not reset_dt:
                continue
            if name.endswith("out_proj"):
                nn.init.kaiming_uniform_(child.weight, a=math.sqrt(5))
                with torch.no_grad():
                    child.weight /= math.sqrt(depth)
                continue
            if std is None:
                continue
            nn.init.trunc_normal_(child.weight, std=std)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
