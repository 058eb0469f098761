"""The selective scan in plain PyTorch: bulk work by chunks, one fused step per token.

Only the recurrence itself runs token by token, as an in-place ``addcmul``; exponentials
and sums over the state are done for a whole chunk at once. Memory grows with the chunk,
not with l x d x n: the backward keeps one state per chunk and recomputes the rest.

Shapes: s scans done together (directions, groups), b batch, l tokens, d channels,
n state, k tokens of one chunk. Inside, d is the innermost dimension, so that sums over
the state run over whole rows of channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmfusion.ops.backends import ScanCall

_CHUNK_ELEMENTS = 1 << 19  # state elements of a chunk: what stays in the cache
_CHUNK_LIMITS = (8, 128)  # tokens


class TorchBackend:
    """Chunks in plain PyTorch: any device and dtype, differentiable once."""

    name = "torch"

    def missing(self) -> None:
        return None

    def refuses(self, call: ScanCall) -> None:
        return None

    def conv(self, x, weight, bias, silu, reverse, lengths):
        return NotImplemented

    def scan(self, call: ScanCall) -> tuple[Tensor, Tensor | None]:
        """Each packed sequence by itself, both directions and all groups at once."""
        u = call.directions[0].u
        lengths = call.lengths or (u.shape[1],)
        outputs, states, start = [], [], 0
        for k, length in enumerate(lengths):
            y, state = _scan_sequence(call, k, start, start + length)
            outputs.append(y)
            states.append(state)
            start += length
        y = torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]  # (b, l, d)
        if call.z is not None:
            y = y * F.silu(call.z.to(y.dtype))
        y = y.to(u.dtype)
        if not call.return_last_state:
            return y, None
        return y, torch.stack(states, dim=1) if call.lengths else states[0]


def _scan_sequence(
    call: ScanCall, k: int, start: int, stop: int
) -> tuple[Tensor, Tensor]:
    """Sequence k, tokens start to stop: y (b, l, d) and the last state (b, d, n)."""
    parts, skips = [], []
    for one, reverse in zip(call.directions, call.reverse, strict=True):
        u, delta, B, C = (
            x[:, start:stop].to(one.A.dtype) for x in (one.u, one.delta, *one[3:5])
        )
        if one.delta_bias is not None:
            delta = delta + _row(one.delta_bias, k)
        if call.delta_softplus:
            delta = F.softplus(delta)
        if one.D is not None:
            skips.append(_row(one.D, k) * u)
        parts.append(_by_group(u, delta, one.A, B, C, reverse))
    joined = [torch.cat(pair) for pair in zip(*parts, strict=True)]
    state = _initial_state(call, joined, k)
    u, delta, A, B, C = joined
    y, last = chunked_scan(
        u, delta, A, B, C, state
    )  # (s, b, l, d / g), (s, b, d / g, n)
    y, batch = y.unflatten(0, (len(parts), -1)), y.shape[1]
    ordered = [
        (one.flip(2) if reverse else one).permute(1, 2, 0, 3).flatten(2)
        for one, reverse in zip(y.unbind(0), call.reverse, strict=True)
    ]
    total = sum([*ordered[1:], *skips], start=ordered[0])
    return total, last.transpose(0, 1).reshape(batch, -1, last.shape[-1])


def _by_group(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool
) -> tuple[Tensor, ...]:
    """One direction as chunked_scan takes it, g groups first, in the order scanned."""
    if reverse:
        u, delta, B, C = (x.flip(1) for x in (u, delta, B, C))
    groups = B.shape[2]
    u, delta = (x.unflatten(2, (groups, -1)).permute(2, 0, 1, 3) for x in (u, delta))
    B, C = (x.permute(2, 0, 1, 3) for x in (B, C))
    return u, delta, A.unflatten(0, (groups, -1)), B, C


def _initial_state(call: ScanCall, parts: list[Tensor], k: int) -> Tensor:
    """(s, b, d, n) before the first token of sequence k."""
    u, _, A = parts[:3]
    if call.initial_state is None:
        return u.new_zeros(*u.shape[:2], *A.shape[1:])
    state = call.initial_state[:, k] if call.lengths else call.initial_state
    return state.unflatten(1, (len(u), -1)).transpose(0, 1)


def _row(value: Tensor, k: int) -> Tensor:
    """(d,), or row k of (k, d)."""
    return value if value.dim() == 1 else value[k]


def chunked_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor
) -> tuple[Tensor, Tensor]:
    """s independent selective scans over the same length, in one pass.

    Args:
        u: (s, b, l, d). delta: (s, b, l, d), positive. A: (s, d, n).
        B: (s, b, l, n). C: (s, b, l, n). initial_state: (s, b, d, n).

    Returns:
        y (s, b, l, d) and the last state (s, b, d, n), differentiable once in all
        arguments.
    """
    return _ChunkedScan.apply(u, delta, A, B, C, initial_state)


def _chunk_length(num_scans: int, batch: int, channels: int, num_states: int) -> int:
    tokens = _CHUNK_ELEMENTS // max(1, num_scans * batch * channels * num_states)
    return max(_CHUNK_LIMITS[0], min(_CHUNK_LIMITS[1], tokens))


def _time_first(x: Tensor, start: int, stop: int) -> Tensor:
    """(s, b, l, c) -> (k, s, b, c), contiguous."""
    return x[:, :, start:stop].permute(2, 0, 1, 3).contiguous()


class _ChunkedScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, delta, A, B, C, initial_state):
        length = u.shape[2]
        chunk = _chunk_length(*u.shape[:2], u.shape[3], A.shape[-1])
        y = torch.empty_like(u, memory_format=torch.contiguous_format)
        rates = A.transpose(1, 2).contiguous()  # (s, n, d)
        state = initial_state.transpose(2, 3).contiguous()  # (s, b, n, d)
        boundaries = []
        for start in range(0, length, chunk):
            stop = min(start + chunk, length)
            boundaries.append(state)
            _, states = _states_of_chunk(u, delta, rates, B, state, start, stop)
            state = states[-1].clone()
            C_c = _time_first(C, start, stop)  # (k, s, b, n)
            y[:, :, start:stop] = _over_states(C_c, states).permute(1, 2, 0, 3)
        ctx.save_for_backward(u, delta, rates, B, C, *boundaries)
        ctx.chunk = chunk
        return y, state.transpose(2, 3).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_y, grad_last):
        u, delta, rates, B, C, *boundaries = ctx.saved_tensors
        grads = tuple(
            torch.empty_like(x, memory_format=torch.contiguous_format)
            for x in (u, delta, B, C)
        )
        grad_rates = torch.zeros_like(rates)
        # the gradient that reaches the last state of a chunk
        carry = grad_last.transpose(2, 3)
        for index in reversed(range(len(boundaries))):
            start = index * ctx.chunk
            stop = min(start + ctx.chunk, u.shape[2])
            carry = _backward_of_chunk(
                (u, delta, rates, B, C), boundaries[index], grad_y, carry, grads,
                grad_rates, start, stop,
            )  # fmt: skip
        grad_u, grad_delta, grad_B, grad_C = grads
        grad_A = grad_rates.transpose(1, 2)
        return grad_u, grad_delta, grad_A, grad_B, grad_C, carry.transpose(2, 3)


def _states_of_chunk(
    u: Tensor,
    delta: Tensor,
    rates: Tensor,
    B: Tensor,
    state: Tensor,
    start: int,
    stop: int,
) -> tuple[Tensor, Tensor]:
    """The decay exp(delta A) and the states, each (k, s, b, n, d), of one chunk."""
    delta_c = _time_first(delta, start, stop)  # (k, s, b, d)
    decay = (delta_c.unsqueeze(-2) * rates.unsqueeze(1)).exp_()  # (k, s, b, n, d)
    inputs = (delta_c * _time_first(u, start, stop)).unsqueeze(-2)
    states = inputs * _time_first(B, start, stop).unsqueeze(-1)  # (k, s, b, n, d)
    for decay_t, state_t in zip(decay.unbind(0), states.unbind(0), strict=True):
        state = state_t.addcmul_(decay_t, state)
    return decay, states


def _backward_of_chunk(
    inputs: tuple[Tensor, ...],
    state: Tensor,
    grad_y: Tensor,
    carry: Tensor,
    grads: tuple[Tensor, ...],
    grad_rates: Tensor,
    start: int,
    stop: int,
) -> Tensor:
    """Fill the gradients of one chunk; give the gradient of the state before it.

    With g_t the gradient of h_t:  g_t = C_t dy_t + exp(delta_{t+1} A) g_{t+1}.
    """
    u, delta, rates, B, C = inputs
    grad_u, grad_delta, grad_B, grad_C = grads
    decay, states = _states_of_chunk(u, delta, rates, B, state, start, stop)
    dy = _time_first(grad_y, start, stop)  # (k, s, b, d)
    g = dy.unsqueeze(-2) * _time_first(C, start, stop).unsqueeze(-1)  # (k, s, b, n, d)
    g[-1] += carry
    decays, gs = decay.unbind(0), g.unbind(0)
    for t in range(len(gs) - 2, -1, -1):
        gs[t].addcmul_(decays[t + 1], gs[t + 1])
    carry = decays[0] * gs[0]

    delta_c, u_c = _time_first(delta, start, stop), _time_first(u, start, stop)
    grad_C[:, :, start:stop] = _over_channels(states, dy)
    grad_B[:, :, start:stop] = _over_channels(g, delta_c * u_c)
    grad_input = _over_states(_time_first(B, start, stop), g)  # d(delta u): (k,s,b,d)
    # d(delta A) = g * decay * previous state, in place of the decay
    decay[0].mul_(state)
    decay[1:].mul_(states[:-1])
    grad_exponent = decay.mul_(g)  # (k, s, b, n, d)
    through_A = torch.mul(grad_exponent, rates.unsqueeze(1), out=g).sum(-2)
    grad_rates += grad_exponent.mul_(delta_c.unsqueeze(-2)).sum(dim=(0, 2))
    grad_u[:, :, start:stop] = (grad_input * delta_c).permute(1, 2, 0, 3)
    grad_delta[:, :, start:stop] = (grad_input * u_c + through_A).permute(1, 2, 0, 3)
    return carry


def _over_states(weights: Tensor, states: Tensor) -> Tensor:
    """(k, s, b, n) and (k, s, b, n, d) -> (k, s, b, d), summed over the state."""
    return torch.matmul(weights.unsqueeze(-2), states).squeeze(-2)


def _over_channels(states: Tensor, weights: Tensor) -> Tensor:
    """(k, s, b, n, d) and (k, s, b, d) -> (s, b, k, n), summed over channels."""
    return torch.matmul(states, weights.unsqueeze(-1)).squeeze(-1).permute(1, 2, 0, 3)


BACKEND = TorchBackend()
