"""State space duality: the scan of Mamba-2 as products of matrices, chunk by chunk.

Shapes: b batch, l tokens, h heads, p channels of a head, g groups (a divisor of h) that
share B and C, n state, c chunks, k tokens of a chunk.

Plain PyTorch on every device, differentiated by autograd. :func:`ssd_reference` is the
same recurrence token by token.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.ops.checks import check_axes
from mmfusion.ops.precision import full_dtype, full_precision
from mmfusion.utils.errors import InputError

_AXES = dict(
    u="b l h p", delta="b l h", A="h", B="b l g n", C="b l g n", D="h?",
    initial_state="b h p n?",
)  # fmt: skip
_STEP_AXES = dict(
    u="b h p", delta="b h", A="h", B="b g n", C="b g n", D="h?", state="b h p n"
)


def ssd(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    initial_state: Tensor | None = None,
    reverse: bool = False,
    chunk: int = 64,
) -> tuple[Tensor, Tensor]:
    """Scan with one decay a head (Dao and Gu, 2024, arXiv 2405.21060, section 6).

    h_t = exp(delta_t A) h_{t-1} + delta_t u_t B_t^T;  y_t = h_t C_t + D u_t. Inside a
    chunk y = (L * C B^T) (delta u), L the products of the decays between two tokens;
    what a chunk leaves behind is carried to the others by the decays of whole chunks.
    The same as ``ssd_minimal_discrete`` of state-spaces/mamba (e9594ce), and any l.

    Args:
        u: (b, l, h, p). delta: (b, l, h), positive. A: (h,), negative.
        B: (b, l, g, n). C: (b, l, g, n). D: (h,), the skip.
        initial_state: (b, h, p, n), before the first token scanned; None is 0.
        reverse: scan from the last token to the first; y stays in the tokens' order.
        chunk: k; changes the rounding only.

    Returns:
        y (b, l, h, p) in the dtype of u, and the state after the last token scanned
        (b, h, p, n), float32 (float64 for float64).

    Raises:
        ValueError: a shape, dtype or device does not fit, or g does not divide h.

    Example:
        >>> u, delta, A = torch.randn(2, 5, 4, 3), torch.rand(2, 5, 4), -torch.rand(4)
        >>> B, C = torch.randn(2, 5, 1, 8), torch.randn(2, 5, 1, 8)
        >>> y, state = ssd(u, delta, A, B, C)
        >>> y.shape, state.shape
        (torch.Size([2, 5, 4, 3]), torch.Size([2, 4, 3, 8]))
    """
    given = dict(u=u, delta=delta, A=A, B=B, C=C, D=D, initial_state=initial_state)
    _check(given, _AXES)
    if chunk < 1:
        raise InputError(f"chunk={chunk}, expected at least 1")
    with full_precision(u):
        inputs = _prepare(u, delta, A, B, C, initial_state, reverse)
        y, state = _by_chunks(*inputs, chunk)
        y = y.flip(1) if reverse else y
        return _with_skip(y, u, D), state


def ssd_reference(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    initial_state: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Scan token by token: slow, obvious, the truth for :func:`ssd`; its arguments."""
    given = dict(u=u, delta=delta, A=A, B=B, C=C, D=D, initial_state=initial_state)
    _check(given, _AXES)
    with full_precision(u):
        x, rate, B, C, state = _prepare(u, delta, A, B, C, initial_state, reverse)
        outputs = []
        for t in range(x.shape[1]):
            decay = rate[:, t].exp()[:, :, None, None]  # (b, h, 1, 1)
            state = decay * state + x[:, t].unsqueeze(-1) * B[:, t].unsqueeze(2)
            outputs.append((state * C[:, t].unsqueeze(2)).sum(-1))  # (b, h, p)
        y = torch.stack(outputs, 1)
        y = y.flip(1) if reverse else y
        return _with_skip(y, u, D), state


def ssd_state_update(
    state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One token of :func:`ssd`, given the state before it.

    Args:
        state: (b, h, p, n). u: (b, h, p). delta: (b, h), positive. A: (h,).
        B: (b, g, n). C: (b, g, n). D: (h,).

    Returns:
        y (b, h, p) in the dtype of u and the new state (b, h, p, n). The given state is
        not changed.

    Raises:
        ValueError: as :func:`ssd`.
    """
    _check(dict(u=u, delta=delta, A=A, B=B, C=C, D=D, state=state), _STEP_AXES)
    u, delta, B, C = (x.unsqueeze(1) for x in (u, delta, B, C))
    y, state = ssd_reference(u, delta, A, B, C, D, state)
    return y.squeeze(1), state


def _check(given: dict[str, Tensor | None], axes: dict[str, str]) -> None:
    sizes: dict[str, int] = {}
    check_axes(given, axes, sizes)
    if sizes["h"] % sizes["g"]:
        raise InputError(
            f"B has {sizes['g']} groups, expected a divisor of the {sizes['h']} heads"
        )


def _prepare(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    state: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """delta u, delta A, B and C of every head, in the order of scanning; the state."""
    dtype = full_dtype(u)
    u, delta, A, B, C = (x.to(dtype) for x in (u, delta, A, B, C))
    repeats = u.shape[2] // B.shape[2]
    B, C = (x.repeat_interleave(repeats, 2) for x in (B, C))  # (b, l, h, n)
    if state is None:
        state = u.new_zeros(u.shape[0], *u.shape[2:], B.shape[-1])
    steps = [delta.unsqueeze(-1) * u, delta * A, B, C]
    x, rate, B, C = (part.flip(1) for part in steps) if reverse else steps
    return x, rate, B, C, state.to(dtype)


def _with_skip(y: Tensor, u: Tensor, D: Tensor | None) -> Tensor:
    if D is not None:
        y = y + D.to(y.dtype).unsqueeze(-1) * u.to(y.dtype)
    return y.to(u.dtype)


def _by_chunks(
    x: Tensor, rate: Tensor, B: Tensor, C: Tensor, state: Tensor, chunk: int
) -> tuple[Tensor, Tensor]:
    """y (b, l, h, p) and the last state, of x = delta u and rate = delta A (b, l, h).

    Tokens that fill up the last chunk have x = 0 and a rate of 0: they change nothing.
    """
    length = x.shape[1]
    chunk = min(chunk, length)
    x, B, C = (_split(part, chunk) for part in (x, B, C))  # (b, h, c, k, p or n)
    rate = _split(rate.unsqueeze(-1), chunk).squeeze(-1)  # (b, h, c, k)
    within = _decays(rate)  # (b, h, c, k, k)
    y = (C @ B.transpose(-1, -2) * within) @ x  # (b, h, c, k, p)
    # what each chunk adds to the state at its end, behind the state before the first
    left = (within[..., -1, :, None] * x).transpose(-1, -2) @ B  # (b, h, c, p, n)
    states = torch.cat([state.unsqueeze(2), left], dim=2)  # (b, h, 1 + c, p, n)
    between = _decays(F.pad(rate.sum(-1), (1, 0)))  # (b, h, 1 + c, 1 + c)
    states = (between @ states.flatten(3)).unflatten(3, state.shape[2:])
    before, last = states[:, :, :-1], states[:, :, -1]
    # token i of a chunk has seen the state before it decay i + 1 times
    seen = rate.cumsum(-1).exp().unsqueeze(-1)  # (b, h, c, k, 1)
    y = y + seen * (C @ before.transpose(-1, -2))
    return y.flatten(2, 3)[:, :, :length].transpose(1, 2), last


def _split(x: Tensor, chunk: int) -> Tensor:
    """(b, l, h, ...) -> (b, h, c, k, ...), filled up with 0."""
    x = F.pad(x.transpose(1, 2), (0, 0, 0, -x.shape[1] % chunk))
    return x.unflatten(2, (-1, chunk))


def _decays(rate: Tensor) -> Tensor:
    """(..., k) -> (..., k, k): exp(rate_{j+1} + ... + rate_i) at i >= j, else 0.

    Each entry is a sum of its own: as a difference of two running sums it would lose
    the small rates of late tokens.
    """
    length = rate.shape[-1]
    ones = torch.ones(length, length, dtype=torch.bool, device=rate.device)
    x = rate.unsqueeze(-1).expand(*rate.shape, length)
    x = x.masked_fill(~ones.tril(-1), 0).cumsum(-2)
    return x.masked_fill(~ones.tril(), -torch.inf).exp()
