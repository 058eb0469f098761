"""``mmfusion::cpu_inner``: a Mamba layer between its two projections, as one operator.

The steps are those of Gu and Dao, 2023, figure 3 and algorithm 2:
u = silu(conv(x)); dt, B, C = u x_proj^T; delta = softplus(dt dt_proj^T + bias);
y = silu(z) scan(u, delta, -exp(A_log), B, C, D).

Both directions share one pass of the convolution, gradients are written where they
belong (no sum, no concatenation), and delta exists only inside the scan.

For a backward u, x_proj's output and the scan's state before every 32nd token are kept;
the sums before SiLU, delta, exp(delta A) and the other states are computed again, so
that nothing of size l x e x n is ever stored. What is kept has the directions in front,
(k, b, l, ...): each direction is then one dense matrix of b l rows for the products.

Shapes: b batch, l tokens, e inner channels, n state, r rank of delta, w filter width,
k directions.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmfusion.ops.backends import InnerParameters
from mmfusion.ops.cpu import library
from mmfusion.ops.cpu.conv import conv_arguments
from mmfusion.ops.cpu.library import ScanArguments, pointer, tensor_argument
from mmfusion.ops.cpu.operators import (
    as_float,
    below_autograd,
    define,
    run_backward,
    spread,
    wanted_gradients,
    with_last_stride_1,
)
from mmfusion.ops.cpu.scan import (
    CHUNK,
    scan_arguments,
    set_checkpoints,
    set_gradients,
)
from mmfusion.ops.precision import full_precision

_PER_DIRECTION = 7  # tensors of InnerParameters
_TENSORS = 1 + 2 * _PER_DIRECTION  # xz in front of them
_REVERSE = (False, True)
_INPUTS = (
    "Tensor xz, Tensor conv_weight, Tensor? conv_bias, Tensor x_proj, Tensor dt_proj,"
    " Tensor dt_bias, Tensor A_log, Tensor D, Tensor? conv_weight_2, Tensor?"
    " conv_bias_2, Tensor? x_proj_2, Tensor? dt_proj_2, Tensor? dt_bias_2,"
    " Tensor? A_log_2, Tensor? D_2"
)


def _inner(*args) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y (b, l, e), and for a backward u (k, b, l, e), x_proj's (k, b, l, r + 2n), and
    the states kept; these have no element unless they are to be kept."""
    xz, directions = with_last_stride_1(args[0]), _directions(args)
    gated, keep = args[_TENSORS:]
    outputs = _outputs(*args)
    # u and projected are needed now in any case, as outputs only for a backward
    y, u, projected, checkpoints = outputs
    if not keep:
        _, u, projected, _ = _outputs(*args[:-1], True)
    x, z = _halves(xz, gated)  # views: the kernels take rows 2e apart, no copy is made
    _convolve(x, u, directions)
    with full_precision(xz):
        _project(directions, u, projected)
    call = _scan_arguments(directions, u, projected, z)
    call.y = tensor_argument(y)
    if keep:
        set_checkpoints(call, checkpoints)
    library.call("mmf_scan_forward", call)
    return outputs


def _outputs(*args) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Empty outputs of :func:`_inner`."""
    xz, first, keep = args[0], InnerParameters(*args[1 : 1 + _PER_DIRECTION]), args[-1]
    batch, length = xz.shape[:2]
    inner, states = first.A_log.shape
    both = (1 if args[1 + _PER_DIRECTION] is None else 2, batch)
    kept = (*both, (length - 1) // CHUNK, inner, states)
    return (
        xz.new_empty((batch, length, inner)),
        xz.new_empty((*both, length, inner) if keep else (0,)),
        xz.new_empty((*both, length, first.x_proj.shape[0]) if keep else (0,)),
        first.A_log.new_empty(kept if keep else (0,)),
    )


def _inner_backward(*args) -> list[Tensor]:
    """Gradients of the wanted tensors, in their order, dtype and shape."""
    xz, directions = with_last_stride_1(args[0]), _directions(args)
    u, projected, checkpoints, grad_y, gated, wanted = args[_TENSORS:]
    grad_y = with_last_stride_1(grad_y)
    outputs = wanted_gradients(args[:_TENSORS], wanted)
    grads: list[Any] = spread(outputs, wanted)  # None where not wanted
    grad_xz, first = grads[0], InnerParameters(*grads[1 : 1 + _PER_DIRECTION])
    second = InnerParameters(*grads[1 + _PER_DIRECTION :])
    into = [first, second][: len(directions)]
    x, z = _halves(xz, gated)
    grad_x, grad_z = (None, None) if grad_xz is None else _halves(grad_xz, gated)
    grad_u, grad_projected = torch.empty_like(u), torch.empty_like(projected)
    # float32 even under autocast: products over all tokens, for dt_proj, start from it
    grad_delta = u.new_empty(u.shape, dtype=torch.float32)
    with full_precision(xz):
        call = _scan_arguments(directions, u, projected, z)
        call.grad_y = tensor_argument(grad_y)
        set_checkpoints(call, checkpoints)
        targets = []
        for one, grad, to_u, to_delta, columns in zip(
            directions, into, grad_u, grad_delta, grad_projected, strict=True
        ):
            # the scan fills the columns of B and C; dt's are left to _project_backward
            _, B, C = _split(one, columns)
            targets += [to_u, to_delta, grad.A_log, B, C, grad.D, grad.dt_bias]
        set_gradients(call, [*targets, *[None] * (14 - len(targets)), grad_z, None])
        library.call("mmf_scan_backward", call)
        parts = u, projected, grad_u, grad_delta, grad_projected
        _project_backward(directions, into, *parts)
    _convolve_backward(x, grad_x, grad_u, directions, into)
    return outputs


def _project(
    directions: Sequence[InnerParameters], u: Tensor, projected: Tensor
) -> None:
    """Fill projected (k, b, l, r + 2n) from u (k, b, l, e) by x_proj."""
    if u.dtype == torch.float32:
        call = _project_arguments(directions, u, projected)
        return library.call("mmf_project_forward", call)
    for one, tokens, out in zip(directions, u, projected, strict=True):
        torch.mm(_rows(tokens), one.x_proj.t(), out=_rows(out))


def _project_backward(
    directions: Sequence[InnerParameters],
    into: Sequence[InnerParameters],
    u: Tensor,
    projected: Tensor,
    grad_u: Tensor,
    grad_delta: Tensor,
    grad_projected: Tensor,
) -> None:
    """Through dt_proj and x_proj: adds to grad_u, fills the first r columns of
    grad_projected and the weights' gradients.

    u reaches y by itself, which is in grad_u already, and through dt, B and C.
    """
    if u.dtype == torch.float32:
        call = _project_arguments(directions, u, projected)
        for index, (one, grad) in enumerate(zip(directions, into, strict=True)):
            to = call.direction[index]
            to.dt_weight, to.grad_u = pointer(one.dt_proj), pointer(grad_u[index])
            to.grad_delta = pointer(grad_delta[index])
            to.grad_projected = pointer(grad_projected[index])
            to.grad_x_proj = pointer(grad.x_proj)
            to.grad_dt_weight = pointer(grad.dt_proj)
        return library.call("mmf_project_backward", call)
    for index, (one, grad) in enumerate(zip(directions, into, strict=True)):
        rows = [_rows(x[index]) for x in (u, grad_u, grad_delta, grad_projected)]
        tokens, grad_tokens, grad_steps, grad_outputs = rows
        dt = as_float(_rows(_split(one, projected[index])[0]))
        grad_outputs[:, : dt.shape[1]].copy_(grad_steps @ one.dt_proj)
        grad_tokens.addmm_(grad_outputs, one.x_proj)
        if grad.dt_proj is not None:  # four times faster this way round
            grad.dt_proj.copy_((dt.t() @ grad_steps).t())
        if grad.x_proj is not None:
            torch.mm(grad_outputs.t(), tokens, out=grad.x_proj)


def _project_arguments(
    directions: Sequence[InnerParameters], u: Tensor, projected: Tensor
) -> library.ProjectArguments:
    rank, outputs = directions[0].dt_proj.shape[1], projected.shape[-1]
    call = library.ProjectArguments(
        u[0].shape[:2].numel(),
        u.shape[-1],
        outputs,
        rank,
        library.num_threads(),
        len(u),
    )
    for index, one in enumerate(directions):
        to = call.direction[index]
        to.u, to.x_proj = pointer(u[index]), pointer(one.x_proj)
        to.projected = pointer(projected[index])
    return call


def _convolve(x: Tensor, u: Tensor, directions: Sequence[InnerParameters]) -> None:
    """Fill u (k, b, l, e) from x (b, l, e)."""
    filters = _filters(directions)
    call = conv_arguments(x, filters, _REVERSE, True)
    for index, y in enumerate(u):
        call.direction[index].y = tensor_argument(y)
    library.call("mmf_conv_forward", call)


def _convolve_backward(
    x: Tensor,
    grad_x: Tensor | None,
    grad_u: Tensor,
    directions: Sequence[InnerParameters],
    into: Sequence[InnerParameters],
) -> None:
    filters = _filters(directions)
    call = conv_arguments(x, filters, _REVERSE, True)
    call.grad_x = tensor_argument(grad_x)
    for index, grad in enumerate(into):
        one = call.direction[index]
        one.grad_y = tensor_argument(grad_u[index])
        one.grad_weight = pointer(grad.conv_weight)
        one.grad_bias = pointer(grad.conv_bias)
    library.call("mmf_conv_backward", call)


def _filters(directions: Sequence[InnerParameters]) -> list[tuple]:
    return [(as_float(x.conv_weight), as_float(x.conv_bias)) for x in directions]


def _split(one: InnerParameters, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(b, l, r + 2n) -> (b, l, r), (b, l, n), (b, l, n): views."""
    states = one.A_log.shape[1]
    sizes = [projected.shape[-1] - 2 * states, states, states]
    dt, B, C = projected.split(sizes, dim=-1)
    return dt, B, C


def _scan_arguments(
    directions: Sequence[InnerParameters],
    u: Tensor,
    projected: Tensor,
    z: Tensor | None,
) -> ScanArguments:
    """delta and A are left to the kernel, which gets dt with its weight, and A_log."""
    tensors: list[Tensor | None] = []
    parts = [_split(*pair) for pair in zip(directions, projected, strict=True)]
    for one, tokens, (_, B, C) in zip(directions, u, parts, strict=True):
        tensors += [tokens, None, one.A_log, B, C, one.D, one.dt_bias]
    tensors += [None] * (14 - len(tensors))
    call = scan_arguments([*tensors, z, None], _REVERSE[: len(u)], True)
    for index, (one, (dt, *_)) in enumerate(zip(directions, parts, strict=True)):
        direction = call.direction[index]
        direction.A_is_log = True
        direction.dt, direction.rank = tensor_argument(dt), dt.shape[-1]
        direction.dt_weight = pointer(one.dt_proj)
    return call


def _directions(args: Sequence) -> list[InnerParameters]:
    """The parameters of one direction or two, without gaps in memory."""
    dense: list[Any] = [None if x is None else x.contiguous() for x in args[1:_TENSORS]]
    first, second = dense[:_PER_DIRECTION], dense[_PER_DIRECTION:]
    return [InnerParameters(*one) for one in (first, second) if one[0] is not None]


def _halves(xz: Tensor, gated: bool) -> tuple[Tensor, Tensor | None]:
    if not gated:
        return xz, None
    x, z = xz.chunk(2, dim=-1)
    return x, z


def _rows(x: Tensor) -> Tensor:
    """(b, l, c) -> (b l, c)."""
    return x.flatten(0, 1)


class _Inner(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keyset, *args):
        y, *kept = below_autograd("cpu_inner", keyset, *args[:-1], True)
        ctx.save_for_backward(*args[:_TENSORS], *kept)
        ctx.gated = args[_TENSORS]
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*kept)
        return y, *kept

    @staticmethod
    def backward(ctx, grad_y, *_):
        wanted = ctx.needs_input_grad[1 : 1 + _TENSORS]
        if grad_y is None:  # nothing reaches y
            return (None,) * (_TENSORS + 3)
        grads = run_backward(
            "cpu_inner_backward", *ctx.saved_tensors, grad_y, ctx.gated, wanted
        )
        return None, *spread(grads, wanted), None, None


define(
    "cpu_inner",
    f"({_INPUTS}, bool gated, bool keep) -> (Tensor, Tensor, Tensor, Tensor)",
    _inner,
    _outputs,
    _Inner,
)
define(
    "cpu_inner_backward",
    f"({_INPUTS}, Tensor u, Tensor projected, Tensor checkpoints, Tensor grad_y,"
    " bool gated, bool[] wanted) -> Tensor[]",
    _inner_backward,
    lambda *args: wanted_gradients(args[:_TENSORS], args[-1]),
)
