"""``mmfusion::cpu_add_norm``: a sum and its RMS norm in C++, and their gradient.

Shapes: b batch, l tokens, d channels.
"""

import torch
from torch import Tensor

from mmfusion.ops.cpu import library
from mmfusion.ops.cpu.library import NormArguments, pointer, tensor_argument
from mmfusion.ops.cpu.operators import (
    below_autograd,
    define,
    run_backward,
    with_last_stride_1,
)


def _add_norm(x, residual, weight, eps) -> tuple[Tensor, Tensor, Tensor]:
    """Run the kernel: the norm (b, l, d) in x's dtype, the sum, its scale (b, l)."""
    x, residual = with_last_stride_1(x), residual.contiguous()
    weight = weight.contiguous()
    outputs = _outputs(x, residual)
    y, total, scale = outputs
    call = _arguments(weight, total, scale)
    call.eps = eps
    call.x, call.residual = tensor_argument(x), pointer(residual)
    call.y = tensor_argument(y)
    library.call("mmf_norm_forward", call)
    return outputs


def _outputs(x, residual, *_) -> tuple[Tensor, Tensor, Tensor]:
    return (
        x.new_empty(x.shape),
        residual.new_empty(x.shape),
        residual.new_empty(x.shape[:2]),
    )


def _backward(
    weight, total, scale, grad_y, grad_total, wants_weight
) -> tuple[Tensor, Tensor]:
    """Gradients of the sum, (b, l, d), and of the weight, without element if unwanted.

    ``grad_y`` and ``grad_total`` are what reaches the norm and the sum; None is zeros.
    """
    grad_y, weight = with_last_stride_1(grad_y), weight.contiguous()
    grad_total = None if grad_total is None else grad_total.contiguous()
    outputs = _gradients(weight, total, scale, grad_y, grad_total, wants_weight)
    call = _arguments(weight, total, scale)
    call.grad_y, call.grad_sum = tensor_argument(grad_y), pointer(grad_total)
    call.grad_total = pointer(outputs[0])
    call.grad_weight = pointer(outputs[1]) if wants_weight else None
    library.call("mmf_norm_backward", call)
    return outputs


def _gradients(weight, total, scale, grad_y, grad_total, wants_weight):
    rows = weight.shape if wants_weight else (0,)
    return total.new_empty(total.shape), weight.new_empty(rows)


def _arguments(weight: Tensor, total: Tensor, scale: Tensor) -> NormArguments:
    call = NormArguments(*total.shape, num_threads=library.num_threads())
    call.weight, call.sum, call.scale = map(pointer, (weight, total, scale))
    return call


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keyset, x, residual, weight, eps):
        y, total, scale = below_autograd(
            "cpu_add_norm", keyset, x, residual, weight, eps
        )
        ctx.save_for_backward(weight, total, scale)
        ctx.dtype = x.dtype
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(scale)
        return y, total, scale

    @staticmethod
    def backward(ctx, grad_y, grad_total, _):
        wanted = ctx.needs_input_grad[1:4]
        grad, grad_weight = run_backward(
            "cpu_add_norm_backward", *ctx.saved_tensors, grad_y, grad_total, wanted[2]
        )
        return (
            None,
            grad.to(ctx.dtype) if wanted[0] else None,
            grad if wanted[1] else None,
            grad_weight if wanted[2] else None,
            None,
        )


define(
    "cpu_add_norm",
    "(Tensor x, Tensor residual, Tensor weight, float eps) -> (Tensor, Tensor, Tensor)",
    _add_norm,
    _outputs,
    _AddNorm,
)
define(
    "cpu_add_norm_backward",
    "(Tensor weight, Tensor total, Tensor scale, Tensor? grad_y, Tensor? grad_total,"
    " bool wants_weight) -> (Tensor, Tensor)",
    _backward,
    _gradients,
)
