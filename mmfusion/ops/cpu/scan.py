"""``mmfusion::cpu_scan``: the scan in C++, one direction or two, and its gradient.

What is kept for a backward is the inputs and the scan's state at every 32nd token.

Shapes: b batch, l tokens, d channels, n state.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmfusion.ops.cpu import library
from mmfusion.ops.cpu.library import (
    DirectionArguments,
    ScanArguments,
    pointer,
    tensor_argument,
)
from mmfusion.ops.cpu.operators import (
    Tensors,
    below_autograd,
    define,
    run_backward,
    spread,
    wanted_gradients,
    with_last_stride_1,
)

CHUNK = 32  # tokens from one kept state to the next: kSteps of scan.h
_PER_DIRECTION = 7  # tensors of ScanInputs
_TENSORS = 2 * _PER_DIRECTION + 2  # z and the initial state behind them
_Z = _TENSORS - 2

_DIRECTION = (
    "Tensor u{0}, Tensor delta{0}, Tensor A{0}, Tensor B{0}, Tensor C{0},"
    " Tensor? D{0}, Tensor? delta_bias{0}"
)
_SCAN = (
    f"{_DIRECTION.format('')}, {_DIRECTION.format('_2').replace('Tensor ', 'Tensor? ')}"
    ", Tensor? z, Tensor? initial_state"
)
_OPTIONS = "bool[] reverse, bool delta_softplus"


def _scan(*args) -> tuple[Tensor, Tensor, Tensor]:
    """Run the kernel: y (b, l, d), the last state and the states kept.

    The last state, (b, d, n), has no element unless it is wanted; so have the states,
    (directions, b, checkpoints, d, n), unless they are to be kept.
    """
    tensors = _laid_out(args)
    outputs = _scan_outputs(*args)
    y, last, checkpoints = outputs
    call = scan_arguments(tensors, *args[_TENSORS:-2])
    call.y = tensor_argument(y)
    call.direction[0].last_state = pointer(last) if last.numel() else None
    if args[-1]:
        set_checkpoints(call, checkpoints)
    library.call("mmf_scan_forward", call)
    return outputs


def _scan_outputs(*args) -> tuple[Tensor, Tensor, Tensor]:
    """Empty outputs of :func:`_scan`; also what torch.compile knows of it."""
    u, A, second = args[0], args[2], args[_PER_DIRECTION]
    return_last_state, keep = args[-2:]
    batch, length, channels = u.shape
    directions = 1 if second is None else 2
    kept = (directions, batch, (length - 1) // CHUNK, channels, A.shape[1])
    return (
        u.new_empty((batch, length, channels)),
        A.new_empty((batch, *A.shape) if return_last_state else (0,)),
        A.new_empty(kept if keep else (0,)),
    )


def _scan_backward(*args) -> list[Tensor]:
    """Gradients of the wanted tensors, in their order, dtype and shape."""
    tensors = _laid_out(args)
    checkpoints, grad_y, grad_last, *options, wanted = args[_TENSORS:]
    grad_y = with_last_stride_1(grad_y)
    outputs = wanted_gradients(args[:_TENSORS], wanted)
    call = scan_arguments(tensors, *options)
    call.grad_y = tensor_argument(grad_y)
    set_checkpoints(call, checkpoints)
    set_gradients(call, spread(outputs, wanted))
    if grad_last is not None:
        grad_last = grad_last.contiguous()
        call.direction[0].grad_last_state = pointer(grad_last)
    library.call("mmf_scan_backward", call)
    return outputs


def set_gradients(call: ScanArguments, grads: Tensors) -> None:
    """Point the kernel at the gradients: shapes and order of the inputs, or None."""
    for index in range(call.num_directions):
        start = index * _PER_DIRECTION
        u, delta, A, B, C, D, delta_bias = grads[start : start + _PER_DIRECTION]
        one = call.direction[index]
        one.grad_u, one.grad_delta = tensor_argument(u), tensor_argument(delta)
        one.grad_B, one.grad_C = tensor_argument(B), tensor_argument(C)
        one.grad_A, one.grad_D = pointer(A), pointer(D)
        one.grad_delta_bias = pointer(delta_bias)
    call.grad_z = tensor_argument(grads[-2])
    call.direction[0].grad_initial_state = pointer(grads[-1])


def _laid_out(args: Tensors) -> Tensors:
    """The inputs: u, delta, B, C and z with last stride 1, the others without gaps."""
    strided = {start + i for start in (0, _PER_DIRECTION) for i in (0, 1, 3, 4)} | {_Z}
    return [
        with_last_stride_1(x) if index in strided or x is None else x.contiguous()
        for index, x in enumerate(args[:_TENSORS])
    ]


def scan_arguments(
    tensors: Tensors,
    reverse: Sequence[bool],
    delta_softplus: bool,
) -> ScanArguments:
    """The inputs as the kernel takes them; ``tensors`` must outlive the call.

    Args:
        tensors: 7 of each direction as in ScanInputs (None for a second that is not
            there), z (b, l, d) and the initial state (b, d, n), or None.
        reverse: of each direction.
    """
    u, _, A = tensors[:3]
    call = ScanArguments(*u.shape, A.shape[1], delta_softplus, library.num_threads())
    call.num_directions = len(reverse)
    for index, is_reverse in enumerate(reverse):
        start = index * _PER_DIRECTION
        u, delta, A, B, C, D, delta_bias = tensors[start : start + _PER_DIRECTION]
        call.direction[index] = DirectionArguments(
            tensor_argument(u),
            tensor_argument(delta),
            tensor_argument(B),
            tensor_argument(C),
            pointer(A),
            pointer(D),
            pointer(delta_bias),
            pointer(tensors[-1]),
            reverse=is_reverse,
        )
    call.z = tensor_argument(tensors[-2])
    return call


def set_checkpoints(call: ScanArguments, checkpoints: Tensor) -> None:
    for index in range(call.num_directions):
        call.direction[index].checkpoints = pointer(checkpoints[index])


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keyset, *args):
        y, last, checkpoints = below_autograd("cpu_scan", keyset, *args[:-1], True)
        ctx.save_for_backward(*args[:_TENSORS], checkpoints)
        ctx.options = args[_TENSORS:-2]
        ctx.set_materialize_grads(False)
        unused = (checkpoints,) if args[-2] else (checkpoints, last)
        ctx.mark_non_differentiable(*unused)
        return y, last, checkpoints

    @staticmethod
    def backward(ctx, grad_y, grad_last, _):
        *tensors, checkpoints = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1 : 1 + _TENSORS]
        if grad_y is None:
            grad_y = torch.zeros_like(tensors[0])
        grads = run_backward(
            "cpu_scan_backward",
            *tensors,
            checkpoints,
            grad_y,
            grad_last,
            *ctx.options,
            wanted,
        )
        return None, *spread(grads, wanted), *[None] * (len(ctx.options) + 2)


define(
    "cpu_scan",
    f"({_SCAN}, {_OPTIONS}, bool return_last_state, bool keep)"
    " -> (Tensor, Tensor, Tensor)",
    _scan,
    _scan_outputs,
    _Scan,
)
define(
    "cpu_scan_backward",
    f"({_SCAN}, Tensor checkpoints, Tensor grad_y, Tensor? grad_last, {_OPTIONS},"
    " bool[] wanted) -> Tensor[]",
    _scan_backward,
    lambda *args: wanted_gradients(args[:_TENSORS], args[-1]),
)
