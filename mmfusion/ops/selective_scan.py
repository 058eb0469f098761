"""The door to the selective scans: what a call is, its checks, its precision.

Shapes: b batch, l tokens, d channels, n state, g groups of channels that share B and C,
k packed sequences. The layout is channel-last; inputs may be strided views.
"""

from collections.abc import Sequence
from typing import Literal, overload

import torch
from torch import Tensor

from mmfusion.ops.backends import ScanCall, ScanInputs, resolve
from mmfusion.ops.checks import (
    check_given,
    check_lengths,
    check_shape,
    check_tensors,
)
from mmfusion.ops.precision import full_precision
from mmfusion.utils.errors import InputError


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
    lengths: Sequence[int] | None = None,
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
    lengths: Sequence[int] | None = None,
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
    lengths: Sequence[int] | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Scan u by input-dependent linear recurrences (Gu and Dao, 2023, algorithm 2).

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t;  y_t = (C_t h_t + D u_t) silu(z_t),
    with delta = softplus(delta + delta_bias) where asked. u, delta, B, C and z may each
    be float32, bfloat16 or float16, the others are read in float32; the state and the
    sums are float32. Or every tensor is float64, and so is the state.

    Args:
        u: (b, l, d). delta: (b, l, d). A: (d, n), negative for a decaying state.
        B: (b, l, n) or (b, l, g, n); channel i reads group i // (d / g). C: as B.
        D: (d,), the skip. z: (b, l, d), the gate. delta_bias: (d,).
        delta_softplus: whether delta (with its bias) passes through softplus.
        reverse: scan from the last token to the first; y stays in the tokens' order.
        initial_state: (b, d, n), the state before the first token scanned; None is 0.
        return_last_state: whether to give the state after the last token scanned too.
        backend: ``auto`` or a name of :func:`mmfusion.ops.available_backends`.
        lengths: k sequences packed one after the other along l, the same in each batch
            row; the state starts anew at each. D and delta_bias may then be (k, d), a
            row for each sequence, and initial_state is (b, k, d, n).

    Returns:
        y (b, l, d) in the dtype of u; with ``return_last_state`` also the state in
        float32 (float64 for float64): (b, d, n), with lengths (b, k, d, n).

    Raises:
        ValueError: a shape, dtype, device or length does not fit; the backend is
            unknown, not available here, or cannot serve this call.

    Example:
        >>> import torch
        >>> u, delta = torch.randn(2, 5, 4), torch.rand(2, 5, 4)
        >>> A, B, C = -torch.rand(4, 3), torch.randn(2, 5, 3), torch.randn(2, 5, 3)
        >>> selective_scan(u, delta, A, B, C).shape
        torch.Size([2, 5, 4])
    """
    check_given(u=u)
    packed = check_lengths(lengths, u)
    one = _check_direction("", ScanInputs(u, delta, A, B, C, D, delta_bias), packed)
    _check_gate(z, u)
    if initial_state is not None:
        batch = u.shape[:1] if packed is None else (u.shape[0], len(packed))
        check_shape("initial_state", initial_state, (*batch, *A.shape))
        check_tensors(u=u, initial_state=initial_state)
        initial_state = initial_state.to(one.A.dtype)
    call = ScanCall(
        directions=(one,),
        reverse=(reverse,),
        z=z,
        delta_softplus=delta_softplus,
        initial_state=initial_state,
        return_last_state=return_last_state,
        lengths=packed,
    )
    y, last = _run(call, backend)
    if not return_last_state:
        return y
    assert last is not None
    return y, last


def bidirectional_scan(
    forward: ScanInputs,
    backward: ScanInputs,
    z: Tensor | None = None,
    delta_softplus: bool = False,
    backend: str = "auto",
    lengths: Sequence[int] | None = None,
) -> Tensor:
    """Both directions over the same tokens, summed and gated once (VideoMamba, ViM).

    Equals ``selective_scan(*forward) + selective_scan(*backward, reverse=True)``, each
    gated by the same z, but goes to the backend as one call: no flipped copies.

    Args:
        forward: inputs of the scan from first to last token, as in
            :func:`selective_scan`.
        backward: inputs of the other, in the tokens' own order, the same shapes.
        z: (b, l, d), the gate. delta_softplus, backend, lengths: as in
            :func:`selective_scan`; each packed sequence is read from both ends.

    Returns:
        (b, l, d) in the dtype of forward.u.

    Raises:
        ValueError: as :func:`selective_scan`.
    """
    for prefix, one in (("forward", forward), ("backward", backward)):
        if not isinstance(one, ScanInputs):
            raise InputError(
                f"{prefix} is a {type(one).__name__}, expected a ScanInputs"
            )
    check_given(**{"forward.u": forward.u})
    packed = check_lengths(lengths, forward.u)
    for name in ("u", "A", "B"):
        value, expected = getattr(backward, name), getattr(forward, name)
        check_given(**{f"forward.{name}": expected})
        check_shape(f"backward.{name}", value, expected.shape)
    check_tensors(**{"forward.u": forward.u, "backward.u": backward.u})
    both = (
        _check_direction("forward.", forward, packed),
        _check_direction("backward.", backward, packed),
    )
    _check_gate(z, forward.u)
    call = ScanCall(
        directions=both,
        reverse=(False, True),
        z=z,
        delta_softplus=delta_softplus,
        lengths=packed,
    )
    return _run(call, backend)[0]


def _run(call: ScanCall, backend: str) -> tuple[Tensor, Tensor | None]:
    """Inside, autocast must not lower what the recurrence reads."""
    with full_precision(call.directions[0].u):
        return resolve(call, backend).scan(call)


def _check_direction(
    prefix: str, one: ScanInputs, lengths: tuple[int, ...] | None
) -> ScanInputs:
    """Check one direction; give B and C their groups, the parameters their dtype."""
    u, delta, A, B, C, D, delta_bias = one
    check_given(**{f"{prefix}{k}": x for k, x in dict(u=u, A=A, B=B, C=C).items()})
    if u.dim() != 3 or 0 in u.shape:
        raise InputError(
            f"{prefix}u has shape {tuple(u.shape)}, expected (b, l, d), none 0"
        )
    batch, length, channels = u.shape
    check_shape(f"{prefix}delta", delta, u.shape)
    if A.dim() != 2 or A.shape[0] != channels or A.shape[1] == 0:
        raise InputError(
            f"{prefix}A has shape {tuple(A.shape)}, expected (d={channels}, n), n >= 1"
        )
    B, C = (x.unsqueeze(2) if x.dim() == 3 else x for x in (B, C))
    groups = B.shape[2] if B.dim() == 4 else 1
    for name, value in (("B", B), ("C", C)):
        check_shape(f"{prefix}{name}", value, (batch, length, groups, A.shape[1]))
    if groups == 0 or channels % groups:
        raise InputError(
            f"{prefix}B has {groups} groups, expected a divisor of d={channels}"
        )
    for name, row in (("D", D), ("delta_bias", delta_bias)):
        if row is not None:
            by_sequence = lengths is not None and row.dim() == 2
            shape = (len(lengths or ()), channels) if by_sequence else (channels,)
            check_shape(f"{prefix}{name}", row, shape)
    named = dict(u=u, delta=delta, A=A, B=B, C=C, D=D, delta_bias=delta_bias)
    check_tensors(**{f"{prefix}{name}": value for name, value in named.items()})
    dtype = torch.float64 if u.dtype == torch.float64 else torch.float32
    D, delta_bias = (None if x is None else x.to(dtype) for x in (D, delta_bias))
    return ScanInputs(u, delta, A.to(dtype), B, C, D, delta_bias)


def _check_gate(z: Tensor | None, u: Tensor) -> None:
    if z is not None:
        check_shape("z", z, u.shape)
        check_tensors(u=u, z=z)
