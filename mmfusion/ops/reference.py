"""The selective scan step by step: slow, obvious, the truth for every backend.

Shapes: b batch, l tokens, d channels, n state.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.ops.backends import Backend, ScanCall, ScanInputs


class ReferenceBackend(Backend):
    """One step a token, differentiated by autograd; any device, float64 too."""

    name = "reference"

    def scan(self, call: ScanCall) -> tuple[Tensor, Tensor | None]:
        """y = silu(z) times the sum over directions; see :class:`ScanCall`."""
        scans = [
            _scan_direction(one, call, reverse)  # (b, l, d), (b, d, n)
            for one, reverse in zip(call.directions, call.reverse, strict=True)
        ]
        y, last = scans[0]
        for other, _ in scans[1:]:
            y = y + other
        if call.z is not None:
            y = y * F.silu(call.z.to(y.dtype))
        y = y.to(call.directions[0].u.dtype)
        return y, last if call.return_last_state else None


def _scan_direction(
    one: ScanInputs, call: ScanCall, reverse: bool
) -> tuple[Tensor, Tensor]:
    """y (b, l, d) with the skip D u, and the last state (b, d, n)."""
    u, delta, B, C = (x.to(one.A.dtype) for x in (one.u, one.delta, one.B, one.C))
    if one.delta_bias is not None:
        delta = delta + one.delta_bias
    if call.delta_softplus:
        delta = F.softplus(delta)
    state = call.initial_state
    if state is None:
        state = one.A.new_zeros(u.shape[0], *one.A.shape)
    skip = 0 if one.D is None else one.D * u
    if reverse:
        u, delta, B, C = (x.flip(1) for x in (u, delta, B, C))
    y, state = recurrence(u, delta, one.A, B, C, state)
    return (y.flip(1) if reverse else y) + skip, state


def recurrence(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence of Mamba (Gu and Dao, 2023, eq. 2 with the ZOH/Euler step).

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t;  y_t = C_t h_t.

    ``unbind`` keeps the backward linear in l; indexing would make it quadratic.

    Args:
        u: (b, l, d). delta: (b, l, d), positive. A: (d, n), negative.
        B: (b, l, n). C: (b, l, n). state: (b, d, n), before the first token.

    Returns:
        y (b, l, d) and the state after the last token, (b, d, n).
    """
    outputs = []
    for u_t, delta_t, B_t, C_t in zip(
        u.unbind(1), delta.unbind(1), B.unbind(1), C.unbind(1), strict=True
    ):
        decay = torch.exp(delta_t.unsqueeze(-1) * A)  # (b, d, n)
        drive = (delta_t * u_t).unsqueeze(-1) * B_t.unsqueeze(1)  # (b, d, n)
        state = decay * state + drive
        outputs.append((state * C_t.unsqueeze(1)).sum(-1))  # (b, d)
    return torch.stack(outputs, dim=1), state


BACKEND = ReferenceBackend()
