"""The ``cpu`` backend: the C++ kernels as PyTorch operators.

``mmfusion::cpu_scan`` and ``mmfusion::cpu_conv`` are opaque to torch.compile; their
gradients are operators too. What is kept for a backward is the inputs and the scan's
state at every 32nd token. Arguments are checked by the public functions: these
operators take what they get.

Shapes: b batch, l tokens, d channels, n state, g groups of channels that share B and C,
k packed sequences, w filter width.
"""

from collections.abc import Callable, Sequence
from ctypes import c_int64
from typing import Any

import torch
from torch import Tensor

from mmfusion.ops.backends import ScanCall
from mmfusion.ops.cpu import library
from mmfusion.ops.cpu.library import (
    ConvArguments,
    DirectionArguments,
    ScanArguments,
    pointer,
    tensor_argument,
)
from mmfusion.ops.gradients import differentiable_once

_CHUNK = 32  # tokens from one kept state to the next: kSteps of scan.h
_PER_DIRECTION = 7  # tensors of ScanInputs
_SCAN_TENSORS = 2 * _PER_DIRECTION + 2  # z and the initial state behind them
_CONV_TENSORS = 3

_OPERATORS = torch.library.Library("mmfusion", "FRAGMENT")
_DIRECTION = (
    "Tensor u{0}, Tensor delta{0}, Tensor A{0}, Tensor B{0}, Tensor C{0},"
    " Tensor? D{0}, Tensor? delta_bias{0}"
)
_SCAN = (
    f"{_DIRECTION.format('')}, {_DIRECTION.format('_2').replace('Tensor ', 'Tensor? ')}"
    ", Tensor? z, Tensor? initial_state"
)
_SCAN_OPTIONS = "bool[] reverse, bool delta_softplus, int[] lengths"
_CONV = "Tensor x, Tensor weight, Tensor? bias"
_CONV_OPTIONS = "bool silu, bool reverse, int[] lengths"

Tensors = Sequence[Any]  # None where one is absent


class CpuBackend:
    """The scans and the convolution in C++; float32, bfloat16 and float16 on a CPU."""

    name = "cpu"

    def missing(self) -> str | None:
        """Builds the kernels where they are not built yet."""
        return library.missing_reason()

    def refuses(self, call: ScanCall) -> str | None:
        one = call.directions[0]
        if one.u.device.type != "cpu":
            return f"the tensors are on {one.u.device}, it serves the CPU"
        if one.u.dtype not in library.DTYPES:
            served = ", ".join(str(dtype) for dtype in library.DTYPES)
            return f"u is {one.u.dtype}, it serves {served}"
        if one.A.shape[1] > library.MAX_STATES:
            return f"n is {one.A.shape[1]}, it serves up to {library.MAX_STATES}"
        return None

    def scan(self, call: ScanCall) -> tuple[Tensor, Tensor | None]:
        second = call.directions[1] if len(call.directions) == 2 else [None] * 7
        y, last, _ = torch.ops.mmfusion.cpu_scan(
            *call.directions[0],
            *second,
            call.z,
            call.initial_state,
            call.reverse,
            call.delta_softplus,
            call.lengths or (),
            call.return_last_state,
            False,
        )
        return y, last if call.return_last_state else None

    def conv(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        silu: bool,
        reverse: bool,
        lengths: tuple[int, ...] | None,
    ) -> Tensor:
        if x.device.type != "cpu" or x.dtype not in library.DTYPES:
            return NotImplemented
        if weight.dtype == torch.float64 or weight.shape[1] > library.MAX_WIDTH:
            return NotImplemented
        return torch.ops.mmfusion.cpu_conv(
            x, weight, bias, silu, reverse, lengths or ()
        )


# ---- the scan


def _scan(*args) -> tuple[Tensor, Tensor, Tensor]:
    """Run the kernel: y (b, l, d), the last state and the states kept.

    The last state, (b, d, n) or (b, k, d, n), has no element unless it is wanted; so
    have the states, (directions, b, checkpoints, d, n), unless they are to be kept.
    """
    tensors = [_with_last_stride_1(x) for x in args[:_SCAN_TENSORS]]
    outputs = _scan_outputs(*args)
    y, last, checkpoints = outputs
    call = _scan_arguments(tensors, *args[_SCAN_TENSORS:-2])
    call.y = tensor_argument(y)
    call.direction[0].last_state = pointer(last) if last.numel() else None
    if args[-1]:
        _set_checkpoints(call, checkpoints)
    library.call("mmf_scan_forward", call)
    return outputs


def _scan_outputs(*args) -> tuple[Tensor, Tensor, Tensor]:
    """Empty outputs of :func:`_scan`; also what torch.compile knows of it."""
    u, A, second = args[0], args[2], args[_PER_DIRECTION]
    lengths, return_last_state, keep = args[-3:]
    batch, length, channels = u.shape
    last_shape = (batch, *([len(lengths)] if lengths else []), *A.shape)
    if lengths:
        count = sum(max(0, part - 1) // _CHUNK for part in lengths)
    else:
        count = (length - 1) // _CHUNK
    directions = 1 if second is None else 2
    kept = (directions, batch, count, channels, A.shape[1])
    return (
        u.new_empty((batch, length, channels)),
        A.new_empty(last_shape if return_last_state else (0,)),
        A.new_empty(kept if keep else (0,)),
    )


def _scan_backward(*args) -> list[Tensor]:
    """Gradients of the wanted tensors, in their order, dtype and shape."""
    tensors = [_with_last_stride_1(x) for x in args[:_SCAN_TENSORS]]
    checkpoints, grad_y, grad_last, *options, wanted = args[_SCAN_TENSORS:]
    grad_y = _with_last_stride_1(grad_y)
    outputs = _wanted_gradients(args[:_SCAN_TENSORS], wanted)
    grads = _spread(outputs, wanted)
    call = _scan_arguments(tensors, *options)
    call.grad_y = tensor_argument(grad_y)
    _set_checkpoints(call, checkpoints)
    for index in range(call.num_directions):
        start = index * _PER_DIRECTION
        u, delta, A, B, C, D, delta_bias = grads[start : start + _PER_DIRECTION]
        one = call.direction[index]
        one.grad_u, one.grad_delta = tensor_argument(u), tensor_argument(delta)
        one.grad_B, one.grad_C = tensor_argument(B), tensor_argument(C)
        one.grad_A, one.grad_D = pointer(A), pointer(D)
        one.grad_delta_bias = pointer(delta_bias)
    call.grad_z = tensor_argument(grads[-2])
    if grad_last is not None:
        grad_last = grad_last.contiguous()
        call.direction[0].grad_last_state = pointer(grad_last)
    call.direction[0].grad_initial_state = pointer(grads[-1])
    library.call("mmf_scan_backward", call)
    return outputs


def _scan_arguments(
    tensors: Tensors,
    reverse: Sequence[bool],
    delta_softplus: bool,
    lengths: Sequence[int],
) -> ScanArguments:
    """The inputs as the kernel takes them; ``tensors`` must outlive the call."""
    u, _, A, B = tensors[:4]
    batch, length, channels = u.shape
    call = ScanArguments(batch, length, channels, A.shape[1], B.shape[2])
    _set_sequences(call, lengths)
    call.delta_softplus = delta_softplus
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
            channels if D is not None and D.dim() == 2 else 0,
            channels if delta_bias is not None and delta_bias.dim() == 2 else 0,
            pointer(tensors[-1]),
            reverse=is_reverse,
        )
    call.z = tensor_argument(tensors[-2])
    return call


def _set_sequences(call: ScanArguments | ConvArguments, lengths: Sequence[int]) -> None:
    call.num_sequences = len(lengths) or 1
    if lengths:
        call.lengths = (c_int64 * len(lengths))(*lengths)
    call.num_threads = library.num_threads()


def _set_checkpoints(call: ScanArguments, checkpoints: Tensor) -> None:
    for index in range(call.num_directions):
        call.direction[index].checkpoints = pointer(checkpoints[index])


# ---- the convolution


def _conv(*args) -> Tensor:
    """Run the kernel: y (b, l, d) in the dtype of x."""
    tensors = [_with_last_stride_1(args[0]), *map(_as_float, args[1:_CONV_TENSORS])]
    y = _conv_output(*args)
    call = _conv_arguments(tensors, *args[_CONV_TENSORS:])
    call.y = tensor_argument(y)
    library.call("mmf_conv_forward", call)
    return y


def _conv_output(*args) -> Tensor:
    return args[0].new_empty(args[0].shape)


def _conv_backward(*args) -> list[Tensor]:
    """Gradients of those of x, weight and bias that are wanted, in their dtypes."""
    tensors = [_with_last_stride_1(args[0]), *map(_as_float, args[1:_CONV_TENSORS])]
    grad_y, *options, wanted = args[_CONV_TENSORS:]
    grad_y = _with_last_stride_1(grad_y)
    outputs = _wanted_gradients([args[0], *tensors[1:]], wanted)
    x, weight, bias = _spread(outputs, wanted)
    call = _conv_arguments(tensors, *options)
    call.grad_y, call.grad_x = tensor_argument(grad_y), tensor_argument(x)
    call.grad_weight, call.grad_bias = pointer(weight), pointer(bias)
    library.call("mmf_conv_backward", call)
    inputs = [x for x, is_wanted in zip(args, wanted, strict=False) if is_wanted]
    return [grad.to(x.dtype) for grad, x in zip(outputs, inputs, strict=True)]


def _conv_arguments(
    tensors: Tensors, silu: bool, reverse: bool, lengths: Sequence[int]
) -> ConvArguments:
    """The inputs as the kernel takes them; ``tensors`` must outlive the call."""
    x, weight, bias = tensors
    call = ConvArguments(*x.shape, weight.shape[1], silu=silu, reverse=reverse)
    _set_sequences(call, lengths)
    call.x = tensor_argument(x)
    call.weight, call.bias = pointer(weight), pointer(bias)
    return call


# ---- what both share


def _with_last_stride_1(x: Tensor | None) -> Tensor | None:
    return x if x is None or x.stride(-1) == 1 else x.contiguous()


def _as_float(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.float().contiguous()


def _wanted_gradients(tensors: Tensors, wanted: Sequence[bool]) -> list[Tensor]:
    """Empty gradients of those tensors that are wanted."""
    pairs = zip(tensors, wanted, strict=True)
    return [x.new_empty(x.shape) for x, is_wanted in pairs if is_wanted]


def _spread(values: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
    """The values at the wanted places, None at the others."""
    rest = iter(values)
    return [next(rest) if is_wanted else None for is_wanted in wanted]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keyset, *args):
        y, last, checkpoints = _below_autograd("cpu_scan", keyset, *args[:-1], True)
        ctx.save_for_backward(*args[:_SCAN_TENSORS], checkpoints)
        ctx.options = args[_SCAN_TENSORS:-2]
        ctx.set_materialize_grads(False)
        unused = (checkpoints,) if args[-2] else (checkpoints, last)
        ctx.mark_non_differentiable(*unused)
        return y, last, checkpoints

    @staticmethod
    def backward(ctx, grad_y, grad_last, _):
        *tensors, checkpoints = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1 : 1 + _SCAN_TENSORS]
        if grad_y is None:
            grad_y = torch.zeros_like(tensors[0])
        grads = _backward(
            "cpu_scan_backward",
            *tensors,
            checkpoints,
            grad_y,
            grad_last,
            *ctx.options,
            wanted,
        )
        return None, *_spread(grads, wanted), *[None] * (len(ctx.options) + 2)


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keyset, *args):
        ctx.save_for_backward(*args[:_CONV_TENSORS])
        ctx.options = args[_CONV_TENSORS:]
        return _below_autograd("cpu_conv", keyset, *args)

    @staticmethod
    def backward(ctx, grad_y):
        wanted = ctx.needs_input_grad[1 : 1 + _CONV_TENSORS]
        grads = _backward(
            "cpu_conv_backward", *ctx.saved_tensors, grad_y, *ctx.options, wanted
        )
        return None, *_spread(grads, wanted), *[None] * len(ctx.options)


def _below_autograd(name: str, keyset, *args):
    """The operator itself, as torch.library's own autograd kernels call it."""
    operator = getattr(torch.ops.mmfusion, name).default
    with torch._C._AutoDispatchBelowAutograd():
        return operator.redispatch(keyset & torch._C._after_autograd_keyset, *args)


def _backward(name: str, *args) -> Sequence[Tensor | None]:
    grads = getattr(torch.ops.mmfusion, name)(*args)
    sources = [x for x in args if isinstance(x, Tensor)]
    return differentiable_once("cpu", grads, sources)


def _define(
    name: str,
    schema: str,
    kernel: Callable,
    fake: Callable,
    function: type[torch.autograd.Function] | None,
) -> None:
    """Register an operator; cheaper to call than through torch.library.custom_op."""
    _OPERATORS.define(f"{name}{schema}")
    _OPERATORS.impl(name, kernel, "CPU")
    torch.library.register_fake(f"mmfusion::{name}", fake, lib=_OPERATORS)
    if function is None:  # a gradient has none itself
        return

    def autograd(keyset, *args):
        if torch.is_grad_enabled() and torch._C._any_requires_grad(*args):
            return function.apply(keyset, *args)
        return _below_autograd(name, keyset, *args)

    _OPERATORS.impl(name, autograd, "Autograd", with_keyset=True)


_define(
    "cpu_scan",
    f"({_SCAN}, {_SCAN_OPTIONS}, bool return_last_state, bool keep)"
    " -> (Tensor, Tensor, Tensor)",
    _scan,
    _scan_outputs,
    _Scan,
)
_define(
    "cpu_scan_backward",
    f"({_SCAN}, Tensor checkpoints, Tensor grad_y, Tensor? grad_last, {_SCAN_OPTIONS},"
    " bool[] wanted) -> Tensor[]",
    _scan_backward,
    lambda *args: _wanted_gradients(args[:_SCAN_TENSORS], args[-1]),
    None,
)
_define("cpu_conv", f"({_CONV}, {_CONV_OPTIONS}) -> Tensor", _conv, _conv_output, _Conv)
_define(
    "cpu_conv_backward",
    f"({_CONV}, Tensor grad_y, {_CONV_OPTIONS}, bool[] wanted) -> Tensor[]",
    _conv_backward,
    lambda *args: _wanted_gradients(args[:_CONV_TENSORS], args[-1]),
    None,
)

BACKEND = CpuBackend()
