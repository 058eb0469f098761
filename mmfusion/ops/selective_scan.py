"""The door to the selective scans: checks, precision, direction, skip and gate.

Shapes: b batch, l tokens, d channels, n state, g groups of channels that share B and C.
The layout is channel-last; inputs may be strided views.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, overload

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.ops.backends import resolve_backend


class ScanInputs(NamedTuple):
    """What one direction of a scan reads; shapes as in :func:`selective_scan`."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None = None
    delta_bias: Tensor | None = None


@overload
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    reverse: bool = False,
    initial_state: Tensor | None = None,
    return_last_state: Literal[False] = False,
    backend: str = "auto",
) -> Tensor: ...


@overload
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    reverse: bool = False,
    initial_state: Tensor | None = None,
    *,
    return_last_state: Literal[True],
    backend: str = "auto",
) -> tuple[Tensor, Tensor]: ...


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    reverse: bool = False,
    initial_state: Tensor | None = None,
    return_last_state: bool = False,
    backend: str = "auto",
) -> Tensor | tuple[Tensor, Tensor]:
    """Scan u by input-dependent linear recurrences (Gu and Dao, 2023, algorithm 2).

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t;  y_t = (C_t h_t + D u_t) silu(z_t),
    with delta = softplus(delta + delta_bias) where asked. The state and A are float32
    (float64 for float64 inputs) whatever the dtype of u; y has the dtype of u.

    Args:
        u: (b, l, d). delta: (b, l, d). A: (d, n), negative for a decaying state.
        B: (b, l, n) or (b, l, g, n). C: as B.
        D: (d,), the skip. z: (b, l, d), the gate. delta_bias: (d,).
        delta_softplus: whether delta (with its bias) passes through softplus.
        reverse: scan from the last token to the first; y stays in the tokens' order.
        initial_state: (b, d, n), the state before the first token scanned; None is 0.
        return_last_state: whether to give the state after the last token scanned too.
        backend: ``auto`` or a name of :func:`mmfusion.ops.available_backends`.

    Returns:
        y (b, l, d); with ``return_last_state`` also the state (b, d, n).

    Raises:
        ValueError: a shape does not fit, or the backend is unknown.

    Example:
        >>> import torch
        >>> u, delta = torch.randn(2, 5, 4), torch.rand(2, 5, 4)
        >>> A, B, C = -torch.rand(4, 3), torch.randn(2, 5, 3), torch.randn(2, 5, 3)
        >>> selective_scan(u, delta, A, B, C).shape
        torch.Size([2, 5, 4])
    """
    one = ScanInputs(u, delta, A, B, C, D, delta_bias)
    with _full_precision(u):
        parts = _prepare(one, delta_softplus, reverse)
        state = _initial_state(initial_state, parts)
        y, last = resolve_backend(backend)(*parts, state)
        y = _finish(y, one, reverse)  # (b, l, d)
        if z is not None:
            _check("z", z, u.shape)
            y = y * F.silu(z.to(y.dtype))
        y = y.to(u.dtype)
    if not return_last_state:
        return y
    return y, last.transpose(0, 1).reshape(u.shape[0], *A.shape)


def bidirectional_scan(
    forward: ScanInputs,
    backward: ScanInputs,
    z: Tensor | None = None,
    delta_softplus: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Both directions over the same tokens, summed and gated once (VideoMamba, ViM).

    Equals ``selective_scan(*forward) + selective_scan(*backward, reverse=True)``, each
    gated by the same z, but runs as one scan of twice the width.

    Args:
        forward: inputs of the scan from first to last token, (b, l, d) each.
        backward: inputs of the other, in the tokens' own order, the same shapes.
        z: (b, l, d), the gate. delta_softplus, backend: as :func:`selective_scan`.

    Returns:
        (b, l, d).
    """
    _check("backward.u", backward.u, forward.u.shape)
    _check("backward.A", backward.A, forward.A.shape)
    with _full_precision(forward.u):
        both = zip(
            _prepare(forward, delta_softplus, False),
            _prepare(backward, delta_softplus, True),
            strict=True,
        )
        parts = [torch.cat(pair) for pair in both]
        y, _ = resolve_backend(backend)(*parts, _initial_state(None, parts))
        y_forward, y_backward = y.chunk(2)
        y = _finish(y_forward, forward, False) + _finish(y_backward, backward, True)
        if z is not None:
            _check("z", z, forward.u.shape)
            y = y * F.silu(z.to(y.dtype))
        return y.to(forward.u.dtype)


def _full_precision(u: Tensor) -> torch.autocast:
    """Inside, autocast must not lower what the recurrence reads."""
    return torch.autocast(u.device.type, enabled=False)


def _prepare(
    one: ScanInputs, delta_softplus: bool, reverse: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Check one direction and bring it to what backends take: s = groups of channels.

    Returns:
        u, delta (s, b, l, d/s), A (s, d/s, n), B, C (s, b, l, n), float32 or float64,
        in the order in which they are scanned.
    """
    u, delta, A, B, C = one[:5]
    if u.dim() != 3 or 0 in u.shape:
        raise ValueError(f"u has shape {tuple(u.shape)}, expected (b, l, d), none 0")
    batch, length, channels = u.shape
    _check("delta", delta, u.shape)
    if A.dim() != 2 or A.shape[0] != channels:
        raise ValueError(f"A has shape {tuple(A.shape)}, expected (d={channels}, n)")
    num_states = A.shape[1]
    B, C = (x.unsqueeze(2) if x.dim() == 3 else x for x in (B, C))
    groups = B.shape[2] if B.dim() == 4 else 1
    for name, value in (("B", B), ("C", C)):
        _check(name, value, (batch, length, groups, num_states))
    if channels % groups:
        raise ValueError(f"B has {groups} groups, which do not divide d={channels}")
    dtype = torch.float64 if u.dtype == torch.float64 else torch.float32
    delta = delta.to(dtype)
    if one.delta_bias is not None:
        _check("delta_bias", one.delta_bias, (channels,))
        delta = delta + one.delta_bias.to(dtype)
    if delta_softplus:
        delta = F.softplus(delta)
    u, delta, B, C = (x.to(dtype) for x in (u, delta, B, C))
    if reverse:
        u, delta, B, C = (x.flip(1) for x in (u, delta, B, C))
    split = (batch, length, groups, channels // groups)
    u, delta = (x.reshape(split).permute(2, 0, 1, 3) for x in (u, delta))
    B, C = (x.permute(2, 0, 1, 3) for x in (B, C))
    return u, delta, A.to(dtype).reshape(groups, -1, num_states), B, C


def _initial_state(state: Tensor | None, parts: Sequence[Tensor]) -> Tensor:
    """(s, b, d/s, n): the given (b, d, n) by groups, or zeros."""
    u, _, A = parts[:3]
    groups, batch, _, channels = u.shape
    shape = (batch, groups, channels, A.shape[-1])
    if state is None:
        return u.new_zeros(shape).transpose(0, 1)
    _check("initial_state", state, (batch, groups * channels, A.shape[-1]))
    return state.to(u.dtype).reshape(shape).transpose(0, 1)


def _finish(y: Tensor, one: ScanInputs, reverse: bool) -> Tensor:
    """(s, b, l, d/s) -> (b, l, d) in the tokens' order, with the skip D u added."""
    y = y.permute(1, 2, 0, 3).flatten(2)  # (b, l, d)
    if reverse:
        y = y.flip(1)
    if one.D is not None:
        _check("D", one.D, y.shape[-1:])
        y = y + one.D.to(y.dtype) * one.u.to(y.dtype)
    return y


def _check(name: str, value: Tensor, shape: tuple[int, ...] | torch.Size) -> None:
    if tuple(value.shape) != tuple(shape):
        raise ValueError(
            f"{name} has shape {tuple(value.shape)}, expected {tuple(shape)}"
        )
