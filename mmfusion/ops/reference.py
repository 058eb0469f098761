"""The selective scan step by step: slow, obvious, the truth for every backend.

Shapes: b batch, l tokens, d channels, n state, g groups of channels that share B, C.
"""

import torch
from torch import Tensor


def selective_scan_reference(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence of Mamba (Gu and Dao, 2023, eq. 2 with the ZOH/Euler step).

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t;  y_t = C_t h_t.

    The gate, the skip, the bias of delta and the direction are the door's business.
    ``unbind`` keeps the backward linear in l; indexing would make it quadratic.

    Args:
        u: (b, l, d). delta: (b, l, d), positive. A: (d, n), negative.
        B: (b, l, g, n). C: (b, l, g, n); channel i reads group i // (d / g).
        initial_state: (b, d, n).

    Returns:
        y (b, l, d) and the last state (b, d, n).
    """
    per_group = u.shape[-1] // B.shape[2]
    state, outputs = initial_state, []
    for u_t, delta_t, B_t, C_t in zip(
        u.unbind(1), delta.unbind(1), B.unbind(1), C.unbind(1), strict=True
    ):
        B_t = B_t.repeat_interleave(per_group, dim=1)  # (b, d, n)
        C_t = C_t.repeat_interleave(per_group, dim=1)  # (b, d, n)
        decay = torch.exp(delta_t.unsqueeze(-1) * A)  # (b, d, n)
        state = decay * state + (delta_t * u_t).unsqueeze(-1) * B_t
        outputs.append((state * C_t).sum(-1))  # (b, d)
    return torch.stack(outputs, dim=1), state
