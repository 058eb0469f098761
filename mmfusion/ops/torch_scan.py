"""The selective scan in plain PyTorch: bulk work by chunks, one fused step per token.

Only the recurrence itself runs token by token, as an in-place ``addcmul``; exponentials
and sums over the state are done for a whole chunk at once. Memory grows with the chunk,
not with l x d x n: the backward keeps one state per chunk and recomputes the rest.

Shapes: s scans done together (directions), b batch, l tokens, d channels,
n state, k tokens of one chunk. Inside, d is the innermost dimension, so that sums over
the state run over whole rows of channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.ops.backends import Backend, ScanCall
from mmfusion.ops.gradients import differentiable_once, refuse_forward_mode

_CHUNK_ELEMENTS = 1 << 19  # state elements of a chunk: what stays in the cache
_CHUNK_LIMITS = (32, 128)  # tokens: the fewer, the more states the backward keeps
_RADIX = 8  # tokens of a run in an exported scan


class TorchBackend(Backend):
    """Chunks in plain PyTorch: any device and dtype, differentiable once."""

    name = "torch"

    def scan(self, call: ScanCall) -> tuple[Tensor, Tensor | None]:
        """Scan both directions at once; y is (b, l, d), see :class:`ScanCall`."""
        parts, skips = [], []
        for one, reverse in zip(call.directions, call.reverse, strict=True):
            u, delta, B, C = (
                x.to(one.A.dtype) for x in (one.u, one.delta, one.B, one.C)
            )
            if one.delta_bias is not None:
                delta = delta + one.delta_bias
            if call.delta_softplus:
                delta = F.softplus(delta)
            if one.D is not None:
                skips.append(one.D * u)
            if reverse:
                u, delta, B, C = (x.flip(1) for x in (u, delta, B, C))
            parts.append((u, delta, one.A, B, C))
        u, delta, A, B, C = (torch.stack(x) for x in zip(*parts, strict=True))
        state = call.initial_state
        state = u.new_zeros(u.shape[1], *A.shape[1:]) if state is None else state
        scanned, last = chunked_scan(  # (s, b, l, d), (s, b, d, n)
            u, delta, A, B, C, state.expand(len(parts), *state.shape)
        )
        y, *others = (
            one.flip(1) if reverse else one
            for one, reverse in zip(scanned.unbind(0), call.reverse, strict=True)
        )
        y = sum([*others, *skips], start=y)  # (b, l, d)
        if call.z is not None:
            y = y * F.silu(call.z.to(y.dtype))
        y = y.to(call.directions[0].u.dtype)
        return y, last[0] if call.return_last_state else None


def chunked_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor
) -> tuple[Tensor, Tensor]:
    """s independent selective scans over the same length, in one pass.

    One op to torch.compile and torch.export; :func:`scan_by_prefix` is the same made of
    PyTorch's own, for a program that must run without this package.

    Args:
        u: (s, b, l, d). delta: (s, b, l, d), positive. A: (s, d, n).
        B: (s, b, l, n). C: (s, b, l, n). initial_state: (s, b, d, n).

    Returns:
        y (s, b, l, d) and the last state (s, b, d, n), differentiable once in all
        arguments.
    """
    inputs = (u, delta, A, B, C, initial_state)
    if not torch.compiler.is_compiling():
        refuse_forward_mode("torch", inputs)
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    return _chunked_scan(*inputs, keep)[:2]


def _chunk_length(u: Tensor, A: Tensor) -> int:
    num_scans, batch, _, channels = u.shape
    tokens = _CHUNK_ELEMENTS // (num_scans * batch * channels * A.shape[-1])
    return max(_CHUNK_LIMITS[0], min(_CHUNK_LIMITS[1], tokens))


def _num_borders(length: int, chunk: int, keep: bool) -> int:
    return -(-length // chunk) if keep else 0


def _time_first(x: Tensor, start: int, stop: int) -> Tensor:
    """(s, b, l, c) -> (k, s, b, c), contiguous."""
    return x[:, :, start:stop].permute(2, 0, 1, 3).contiguous()


@torch.library.custom_op("mmfusion::chunked_scan", mutates_args=())
def _chunked_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    initial_state: Tensor,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`chunked_scan`; with ``keep`` also the state before each chunk."""
    length = u.shape[2]
    chunk = _chunk_length(u, A)
    y = torch.empty_like(u, memory_format=torch.contiguous_format)
    rates = A.transpose(1, 2).contiguous()  # (s, n, d)
    state = initial_state.transpose(2, 3).contiguous()  # (s, b, n, d)
    borders = state.new_empty(_num_borders(length, chunk, keep), *state.shape)
    space = _workspace(2, chunk, state)
    for index, start in enumerate(range(0, length, chunk)):
        stop = min(start + chunk, length)
        if keep:
            borders[index] = state
        _, states = _states_of_chunk((u, delta, rates, B), state, start, stop, space)
        state = states[-1].clone()
        C_c = _time_first(C, start, stop)  # (k, s, b, n)
        y[:, :, start:stop] = _over_states(C_c, states).permute(1, 2, 0, 3)
    return y, state.transpose(2, 3).contiguous(), borders


@_chunked_scan.register_fake
def _(u, delta, A, B, C, initial_state, keep):
    state = initial_state.transpose(2, 3)
    # no chunk length without borders: it would compare the batch, which may be free
    count = _num_borders(u.shape[2], _chunk_length(u, A), keep) if keep else 0
    y = torch.empty_like(u, memory_format=torch.contiguous_format)
    last = torch.empty_like(initial_state, memory_format=torch.contiguous_format)
    return y, last, state.new_empty(count, *state.shape)


@torch.library.custom_op("mmfusion::chunked_scan_backward", mutates_args=())
def _chunked_scan_backward(
    grad_y: Tensor,
    grad_last: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    borders: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, delta, A, B, C and the initial state, in their shapes."""
    chunk = _chunk_length(u, A)
    rates = A.transpose(1, 2).contiguous()  # (s, n, d)
    grads = tuple(
        torch.empty_like(x, memory_format=torch.contiguous_format)
        for x in (u, delta, B, C)
    )
    grad_rates = torch.zeros_like(rates)
    # the gradient that reaches the last state of a chunk
    carry = grad_last.transpose(2, 3)
    space = _workspace(3, chunk, carry)
    for index in reversed(range(len(borders))):
        start = index * chunk
        stop = min(start + chunk, u.shape[2])
        carry = _backward_of_chunk(
            (u, delta, rates, B, C), borders[index], grad_y, carry, grads, grad_rates,
            start, stop, space,
        )  # fmt: skip
    grad_u, grad_delta, grad_B, grad_C = grads
    grad_A = grad_rates.transpose(1, 2).contiguous()
    return grad_u, grad_delta, grad_A, grad_B, grad_C, carry.transpose(2, 3)


@_chunked_scan_backward.register_fake
def _(grad_y, grad_last, u, delta, A, B, C, borders):
    return tuple(
        torch.empty_like(x, memory_format=torch.contiguous_format)
        for x in (u, delta, A, B, C, grad_last)
    )


def _setup_context(ctx, inputs, output):
    *tensors, _, _ = inputs
    ctx.save_for_backward(*tensors, output[2])


def _backward(ctx, grad_y, grad_last, grad_borders):
    sources = (grad_y, grad_last, *ctx.saved_tensors)
    grads = _chunked_scan_backward(*sources)
    return (*differentiable_once("torch", grads, sources), None)


_chunked_scan.register_autograd(_backward, setup_context=_setup_context)


def _workspace(count: int, chunk: int, state: Tensor) -> list[Tensor]:
    """Room for ``count`` times the states of a chunk, (k, s, b, n, d) each.

    Used again for each chunk: fresh memory of this size would cost page faults.
    """
    return [state.new_empty(chunk, *state.shape) for _ in range(count)]


def _states_of_chunk(
    inputs: tuple[Tensor, ...],
    state: Tensor,
    start: int,
    stop: int,
    space: list[Tensor],
) -> tuple[Tensor, Tensor]:
    """The decay exp(delta A) and the states, each (k, s, b, n, d), of one chunk."""
    u, delta, rates, B = inputs
    decay, states = (x[: stop - start] for x in space[:2])
    delta_c = _time_first(delta, start, stop)  # (k, s, b, d)
    torch.mul(delta_c.unsqueeze(-2), rates.unsqueeze(1), out=decay).exp_()
    scaled = (delta_c * _time_first(u, start, stop)).unsqueeze(-2)
    torch.mul(scaled, _time_first(B, start, stop).unsqueeze(-1), out=states)
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
    space: list[Tensor],
) -> Tensor:
    """Fill the gradients of one chunk; give the gradient of the state before it.

    With g_t the gradient of h_t:  g_t = C_t dy_t + exp(delta_{t+1} A) g_{t+1}.
    """
    u, delta, rates, B, C = inputs
    grad_u, grad_delta, grad_B, grad_C = grads
    decay, states = _states_of_chunk(inputs[:4], state, start, stop, space)
    g = space[2][: stop - start]  # (k, s, b, n, d)
    dy = _time_first(grad_y, start, stop)  # (k, s, b, d)
    torch.mul(dy.unsqueeze(-2), _time_first(C, start, stop).unsqueeze(-1), out=g)
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


def scan_by_prefix(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor
) -> tuple[Tensor, Tensor]:
    """:func:`chunked_scan` as some log(l) bulk operations, for saved programs.

    Its graph does not grow with l; its memory grows with l x d x n.
    """
    decay = torch.exp(delta.unsqueeze(-1) * A[:, None, None])  # (s, b, l, d, n)
    inputs = (delta * u).unsqueeze(-1) * B.unsqueeze(-2)  # (s, b, l, d, n)
    first = inputs[:, :, :1] + decay[:, :, :1] * initial_state.unsqueeze(2)
    states = prefix_states(decay, torch.cat([first, inputs[:, :, 1:]], dim=2))
    y = torch.matmul(states, C.unsqueeze(-1)).squeeze(-1)  # (s, b, l, d)
    return y, states[:, :, -1]


def prefix_states(decay: Tensor, inputs: Tensor) -> Tensor:
    """All h_t = decay_t h_{t-1} + inputs_t from h = 0; each (s, b, l, d, n).

    Runs of _RADIX tokens are scanned side by side; a scan over the ends of the runs
    then gives what each run starts from.
    """
    length = inputs.shape[2]
    padding = (0, 0, 0, 0, 0, -length % _RADIX)
    decays = F.pad(decay, padding).unflatten(2, (-1, _RADIX)).unbind(3)
    steps = F.pad(inputs, padding).unflatten(2, (-1, _RADIX)).unbind(3)
    states, products = [steps[0]], [decays[0]]
    for decay_t, step in zip(decays[1:], steps[1:], strict=True):
        states.append(torch.addcmul(step, decay_t, states[-1]))
        products.append(products[-1] * decay_t)  # from the start of the run
    local = torch.stack(states, dim=3)  # (s, b, runs, _RADIX, d, n)
    if length > _RADIX:
        ends = prefix_states(products[-1], states[-1])  # (s, b, runs, d, n)
        before = F.pad(ends[:, :, :-1], (0, 0, 0, 0, 1, 0)).unsqueeze(3)
        local = torch.addcmul(local, torch.stack(products, dim=3), before)
    return local.flatten(2, 3)[:, :, :length]


BACKEND = TorchBackend()
