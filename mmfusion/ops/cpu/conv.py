"""``mmfusion::cpu_conv``: the causal convolution in C++ and its gradient.

Shapes: b batch, l tokens, d channels, w filter width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmfusion.ops.cpu import library
from mmfusion.ops.cpu.library import (
    ConvArguments,
    ConvDirectionArguments,
    pointer,
    tensor_argument,
)
from mmfusion.ops.cpu.operators import (
    as_float,
    below_autograd,
    define,
    run_backward,
    spread,
    wanted_gradients,
    with_last_stride_1,
)

_TENSORS = 3
_CONV = "Tensor x, Tensor weight, Tensor? bias"
_OPTIONS = "bool silu, bool reverse"


def conv_arguments(
    x: Tensor,
    filters: Sequence[tuple[Tensor, Tensor | None]],
    reverse: Sequence[bool],
    silu: bool,
) -> ConvArguments:
    """The inputs as the kernel takes them; the tensors must outlive the call.

    Args:
        x: (b, l, d), last stride 1. filters: weight (d, w) and bias (d,), float32 and
            contiguous, for each direction. reverse: likewise.
    """
    threads = library.num_threads()
    call = ConvArguments(*x.shape, filters[0][0].shape[1], silu, threads)
    call.x = tensor_argument(x)
    call.num_directions = len(filters)
    for index, (weight, bias) in enumerate(filters):
        call.direction[index] = ConvDirectionArguments(
            pointer(weight), pointer(bias), reverse[index]
        )
    return call


def _conv(x, weight, bias, silu, reverse) -> Tensor:
    """Run the kernel: y (b, l, d) in the dtype of x."""
    x, weight, bias = with_last_stride_1(x), as_float(weight), as_float(bias)
    y = _conv_output(x)
    call = conv_arguments(x, [(weight, bias)], [reverse], silu)
    call.direction[0].y = tensor_argument(y)
    library.call("mmf_conv_forward", call)
    return y


def _conv_output(x, *_) -> Tensor:
    return x.new_empty(x.shape)


def _conv_backward(*args) -> list[Tensor]:
    """Gradients of those of x, weight and bias that are wanted, in their dtypes."""
    x, weight, bias = with_last_stride_1(args[0]), *map(as_float, args[1:_TENSORS])
    grad_y, silu, reverse, wanted = args[_TENSORS:]
    grad_y = with_last_stride_1(grad_y)
    outputs = wanted_gradients([args[0], weight, bias], wanted)
    grad_x, grad_weight, grad_bias = spread(outputs, wanted)
    call = conv_arguments(x, [(weight, bias)], [reverse], silu)
    call.grad_x = tensor_argument(grad_x)
    one = call.direction[0]
    one.grad_y = tensor_argument(grad_y)
    one.grad_weight, one.grad_bias = pointer(grad_weight), pointer(grad_bias)
    library.call("mmf_conv_backward", call)
    inputs = [x for x, is_wanted in zip(args, wanted, strict=False) if is_wanted]
    return [grad.to(x.dtype) for grad, x in zip(outputs, inputs, strict=True)]


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keyset, *args):
        ctx.save_for_backward(*args[:_TENSORS])
        ctx.options = args[_TENSORS:]
        return below_autograd("cpu_conv", keyset, *args)

    @staticmethod
    def backward(ctx, grad_y):
        wanted = ctx.needs_input_grad[1 : 1 + _TENSORS]
        grads = run_backward(
            "cpu_conv_backward", *ctx.saved_tensors, grad_y, *ctx.options, wanted
        )
        return None, *spread(grads, wanted), *[None] * len(ctx.options)


define("cpu_conv", f"({_CONV}, {_OPTIONS}) -> Tensor", _conv, _conv_output, _Conv)
define(
    "cpu_conv_backward",
    f"({_CONV}, Tensor grad_y, {_OPTIONS}, bool[] wanted) -> Tensor[]",
    _conv_backward,
    lambda *args: wanted_gradients(args[:_TENSORS], args[-1]),
)
