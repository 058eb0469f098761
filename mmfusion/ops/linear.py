"""Products of tokens with a weight, by the faster of the libraries that PyTorch has."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode

_WORTH = 1 << 23  # multiply-adds, below which oneDNN's start takes what it wins


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """``F.linear`` without a bias, by the faster of PyTorch's two libraries.

    On CPUs with AVX-512 that are not Intel's, MKL keeps to kernels for AVX2, which
    oneDNN's outrun; elsewhere both are as fast, and it is PyTorch's own choice.

    Its gradients are differentiable again. Whatever looks at PyTorch's operators (a
    compiler, a tracer, autocast, a counter of operations, forward mode) gets
    ``F.linear``, and so do tensors of other kinds (quantised, sparse, distributed) and
    shapes that do not fit.

    Args:
        x: (..., i). weight: (o, i).

    Returns:
        (..., o).
    """
    # a size that a tracer sees asked for would become a condition of its graph
    is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
    if is_traced or not _prefers_onednn(x, weight) or _is_watched(x, weight):
        return F.linear(x, weight)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        # the view is made outside: one from inside could not be changed in place
        y = _Linear.apply(x.reshape(-1, x.shape[-1]), weight)
        return y.view(*x.shape[:-1], weight.shape[0])
    return _product(x, weight)


def _product(x: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], None)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return _product(x, weight)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = linear(grad, weight.t())
        if ctx.needs_input_grad[1]:
            grad_weight = grad.t() @ x  # MKL is as fast
        return grad_x, grad_weight


def _prefers_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        x.dim() > 1
        and weight.dim() == 2
        and x.shape[-1] == weight.shape[1]
        and x.numel() * weight.shape[0] >= _WORTH
        and _is_plain(x)
        and _is_plain(weight)
        and bool(torch.backends.mkldnn.enabled)
        and _has_slow_mkl()
    )


def _is_plain(x: Tensor) -> bool:
    """True if oneDNN can read it: no subclass, which has operators of its own."""
    return (
        type(x) in (Tensor, torch.nn.Parameter)
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.layout == torch.strided
    )


def _is_watched(x: Tensor, weight: Tensor) -> bool:
    return (
        torch.is_autocast_enabled("cpu")
        or _get_current_dispatch_mode() is not None
        or torch._C._functorch.peek_interpreter_stack() is not None
        or any(torch._C._functorch.is_legacy_batchedtensor(y) for y in (x, weight))
        or any(forward_ad.unpack_dual(y).tangent is not None for y in (x, weight))
    )


@functools.cache
def _has_slow_mkl() -> bool:
    """True where PyTorch's products are MKL's, on a CPU whose AVX-512 MKL leaves."""
    from mmfusion.ops.cpu.build import cpu_fact  # no part of every import

    return (
        torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and cpu_fact("vendor_id") not in ("GenuineIntel", "")
    )
