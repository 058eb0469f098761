"""The selective scan step by step: slow, obvious, the truth for every backend.

Shapes: b batch, l tokens, d channels, n state, g groups of channels that share B and C,
k packed sequences.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.ops.backends import Backend, ScanCall, ScanInputs


class ReferenceBackend(Backend):
    """One step a token, differentiated by autograd; any device, float64 too."""

    name = "reference"

    def missing(self) -> None:
        return None

    def refuses(self, call: ScanCall) -> None:
        return None

    def scan(self, call: ScanCall) -> tuple[Tensor, Tensor | None]:
        """y = silu(z) times the sum over directions; see :class:`ScanCall`."""
        scans = [
            _scan_direction(one, call, reverse)  # (b, l, d), (b, k, d, n)
            for one, reverse in zip(call.directions, call.reverse, strict=True)
        ]
        y, last = scans[0]
        for other, _ in scans[1:]:
            y = y + other
        if call.z is not None:
            y = y * F.silu(call.z.to(y.dtype))
        y = y.to(call.directions[0].u.dtype)
        if not call.return_last_state:
            return y, None
        return y, last if call.lengths else last.squeeze(1)


def _scan_direction(
    one: ScanInputs, call: ScanCall, reverse: bool
) -> tuple[Tensor, Tensor]:
    """y (b, l, d) with the skip D u, and the last states (b, k, d, n)."""
    lengths = call.lengths or (one.u.shape[1],)
    tokens = [
        x.to(one.A.dtype).split(lengths, 1) for x in (one.u, one.delta, *one[3:5])
    ]
    outputs, states = [], []
    for k, (u, delta, B, C) in enumerate(zip(*tokens, strict=True)):
        if one.delta_bias is not None:
            delta = delta + _row(one.delta_bias, k)
        if call.delta_softplus:
            delta = F.softplus(delta)
        state = _initial_state(call, one, k)
        skip = 0 if one.D is None else _row(one.D, k) * u
        if reverse:
            u, delta, B, C = (x.flip(1) for x in (u, delta, B, C))
        y, state = recurrence(u, delta, one.A, B, C, state)
        y = (y.flip(1) if reverse else y) + skip
        outputs.append(y)
        states.append(state)
    return torch.cat(outputs, dim=1), torch.stack(states, dim=1)


def recurrence(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence of Mamba (Gu and Dao, 2023, eq. 2 with the ZOH/Euler step).

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t;  y_t = C_t h_t.

    ``unbind`` keeps the backward linear in l; indexing would make it quadratic.

    Args:
        u: (b, l, d). delta: (b, l, d), positive. A: (d, n), negative.
        B: (b, l, g, n). C: (b, l, g, n); channel i reads group i // (d / g).
        state: (b, d, n), before the first token.

    Returns:
        y (b, l, d) and the state after the last token, (b, d, n).
    """
    per_group = u.shape[-1] // B.shape[2]
    outputs = []
    for u_t, delta_t, B_t, C_t in zip(
        u.unbind(1), delta.unbind(1), B.unbind(1), C.unbind(1), strict=True
    ):
        B_t = B_t.repeat_interleave(per_group, dim=1)  # (b, d, n)
        C_t = C_t.repeat_interleave(per_group, dim=1)  # (b, d, n)
        decay = torch.exp(delta_t.unsqueeze(-1) * A)  # (b, d, n)
        state = decay * state + (delta_t * u_t).unsqueeze(-1) * B_t
        outputs.append((state * C_t).sum(-1))  # (b, d)
    return torch.stack(outputs, dim=1), state


def _row(value: Tensor, k: int) -> Tensor:
    """(d,), or row k of (k, d)."""
    return value if value.dim() == 1 else value[k]


def _initial_state(call: ScanCall, one: ScanInputs, k: int) -> Tensor:
    """(b, d, n) before the first token of sequence k."""
    if call.initial_state is None:
        return one.A.new_zeros(one.u.shape[0], *one.A.shape)
    return call.initial_state[:, k] if call.lengths else call.initial_state


BACKEND = ReferenceBackend()
