"""One time step of a selective scan, for models that read a stream token by token."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.ops.checks import check_axes
from mmfusion.ops.precision import full_dtype, full_precision

_AXES = dict(
    u="b d", A="d n", state="b d n", delta="b d", B="b n", C="b n", D="d?", z="b d?",
    delta_bias="d?",
)  # fmt: skip


def selective_state_update(
    state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
) -> tuple[Tensor, Tensor]:
    """One token of :func:`mmfusion.ops.selective_scan`, given the state before it.

    Args:
        state: (b, d, n). u: (b, d). delta: (b, d). A: (d, n).
        B: (b, n). C: (b, n). D: (d,). z: (b, d). delta_bias: (d,).
        delta_softplus: whether delta (with its bias) passes through softplus.

    Returns:
        y (b, d) in the dtype of u and the new state (b, d, n), float32 (float64 for
        float64). The given state is not changed.

    Raises:
        ValueError: a shape, dtype or device does not fit.
    """
    given = dict(u=u, A=A, state=state, delta=delta, B=B, C=C, D=D, z=z)
    check_axes(given | dict(delta_bias=delta_bias), _AXES, {})
    with full_precision(u):
        return _step(state, u, delta, A, B, C, D, z, delta_bias, delta_softplus)


def _step(state, u, delta, A, B, C, D, z, delta_bias, delta_softplus):
    """The recurrence of reference.py, once, with the skip and the gate."""
    dtype = full_dtype(u)
    x, delta, A, B, C = (value.to(dtype) for value in (u, delta, A, B, C))
    if delta_bias is not None:
        delta = delta + delta_bias.to(dtype)
    if delta_softplus:
        delta = F.softplus(delta)
    B, C = B.unsqueeze(1), C.unsqueeze(1)  # (b, 1, n)
    decay = torch.exp(delta.unsqueeze(-1) * A)  # (b, d, n)
    state = decay * state.to(dtype) + (delta * x).unsqueeze(-1) * B
    y = (state * C).sum(-1)  # (b, d)
    if D is not None:
        y = y + D.to(dtype) * x
    if z is not None:
        y = y * F.silu(z.to(dtype))
    return y.to(u.dtype), state
