"""The door to the selective scans: the checks of a call and its precision.

Shapes: b batch, l tokens, d channels, n state. The layout is channel-last; inputs may
be strided views.
"""

from torch import Tensor

from mmfusion.ops.backends import ScanCall, ScanInputs, resolve
from mmfusion.ops.checks import check_axes, check_tensors
from mmfusion.ops.precision import full_dtype, full_precision
from mmfusion.utils.errors import InputError

_AXES = dict(
    u="b l d", delta="b l d", A="d n", B="b l n", C="b l n", D="d?", delta_bias="d?"
)  # of ScanInputs


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
    backend: str = "auto",
) -> Tensor:
    """Scan u by input-dependent linear recurrences (Gu and Dao, 2023, algorithm 2).

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t;  y_t = (C_t h_t + D u_t) silu(z_t),
    with delta = softplus(delta + delta_bias) where asked. u, delta, B, C and z may each
    be float32, bfloat16 or float16, the others are read in float32; the state and the
    sums are float32. Or every tensor is float64, and so is the state.

    Args:
        u: (b, l, d). delta: (b, l, d). A: (d, n), negative for a decaying state.
        B: (b, l, n). C: (b, l, n).
        D: (d,), the skip. z: (b, l, d), the gate. delta_bias: (d,).
        delta_softplus: whether delta (with its bias) passes through softplus.
        reverse: scan from the last token to the first; y stays in the tokens' order.
        backend: ``auto`` or a name of :func:`mmfusion.ops.available_backends`.

    Returns:
        y (b, l, d) in the dtype of u.

    Raises:
        ValueError: a shape, dtype or device does not fit; the backend is unknown, not
            available here, or cannot serve this call.

    Example:
        >>> import torch
        >>> u, delta = torch.randn(2, 5, 4), torch.rand(2, 5, 4)
        >>> A, B, C = -torch.rand(4, 3), torch.randn(2, 5, 3), torch.randn(2, 5, 3)
        >>> selective_scan(u, delta, A, B, C).shape
        torch.Size([2, 5, 4])
    """
    sizes: dict[str, int] = {}
    inputs = ScanInputs(u, delta, A, B, C, D, delta_bias)
    one = _check_direction("", inputs, sizes)
    check_axes(dict(u=u, z=z), dict(u="b l d", z="b l d?"), sizes)
    return _run(ScanCall((one,), (reverse,), z, delta_softplus), backend)[0]


def selective_scan_with_state(
    inputs: ScanInputs,
    initial_state: Tensor | None = None,
    z: Tensor | None = None,
    delta_softplus: bool = False,
    reverse: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """:func:`selective_scan` of a piece of a longer sequence.

    Args:
        inputs: as the arguments of :func:`selective_scan`.
        initial_state: (b, d, n), the state before the first token scanned; None is 0.
        z, delta_softplus, reverse, backend: as in :func:`selective_scan`.

    Returns:
        y (b, l, d) in the dtype of u and the state after the last token scanned,
        (b, d, n) in float32 (float64 for float64).

    Raises:
        ValueError: as :func:`selective_scan`.
    """
    sizes: dict[str, int] = {}
    one = _check_direction("", inputs, sizes)
    others = dict(u=one.u, z=z, initial_state=initial_state)
    check_axes(others, dict(u="b l d", z="b l d?", initial_state="b d n?"), sizes)
    if initial_state is not None:
        initial_state = initial_state.to(one.A.dtype)
    call = ScanCall((one,), (reverse,), z, delta_softplus, initial_state, True)
    y, last = _run(call, backend)
    assert last is not None
    return y, last


def bidirectional_scan(
    forward: ScanInputs,
    backward: ScanInputs,
    z: Tensor | None = None,
    delta_softplus: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Scan the same tokens from both ends, sum and gate once (VideoMamba, ViM).

    Equals ``selective_scan(*forward) + selective_scan(*backward, reverse=True)``, each
    gated by the same z, but goes to the backend as one call: no flipped copies.

    Args:
        forward: inputs of the scan from first to last token, as in
            :func:`selective_scan`.
        backward: inputs of the other, in the tokens' own order, the same shapes.
        z: (b, l, d), the gate. delta_softplus, backend: as in :func:`selective_scan`.

    Returns:
        (b, l, d) in the dtype of forward.u.

    Raises:
        ValueError: as :func:`selective_scan`.
    """
    sizes: dict[str, int] = {}
    both = (
        _check_direction("forward.", forward, sizes),
        _check_direction("backward.", backward, sizes),
    )
    check_tensors(**{"forward.u": forward.u, "backward.u": backward.u})
    check_axes(dict(u=forward.u, z=z), dict(u="b l d", z="b l d?"), sizes)
    return _run(ScanCall(both, (False, True), z, delta_softplus), backend)[0]


def _run(call: ScanCall, backend: str) -> tuple[Tensor, Tensor | None]:
    """Inside, autocast must not lower what the recurrence reads."""
    with full_precision(call.directions[0].u):
        return resolve(call, backend).scan(call)


def _check_direction(prefix: str, one: ScanInputs, sizes: dict[str, int]) -> ScanInputs:
    """Check one direction, also against ``sizes``; give the parameters their dtype."""
    if not isinstance(one, ScanInputs):
        name = prefix.rstrip(".") or "inputs"
        raise InputError(f"{name} is a {type(one).__name__}, expected a ScanInputs")
    named = {prefix + name: x for name, x in one._asdict().items()}
    check_axes(named, {prefix + name: x for name, x in _AXES.items()}, sizes)
    dtype = full_dtype(one.u)
    D, delta_bias = (None if x is None else x.to(dtype) for x in one[5:])
    return one._replace(A=one.A.to(dtype), D=D, delta_bias=delta_bias)
