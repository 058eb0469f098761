"""The norm between two layers, with the sum in front of it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.ops.backends import NormCall, own_kernel
from mmfusion.ops.checks import check_given, check_shape, check_tensors
from mmfusion.ops.precision import full_dtype


def add_rms_norm(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    eps: float | None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Add a branch to the running sum and norm it (Zhang and Sennrich, 2019, eq. 4).

    sum = x + residual in at least float32; y = weight sum / sqrt(mean(sum^2) + eps).

    Args:
        x: (..., d), the branch. residual: (..., d), the sum so far; None: x begins it.
        weight: (d,). eps: above 0; None: torch.nn.RMSNorm's, what float32 resolves.
        backend: as in :func:`mmfusion.ops.selective_scan`; where it has no kernel of
            its own for these arguments, PyTorch's are used.

    Returns:
        y (..., d) in the dtype of x, and the sum (..., d).

    Raises:
        ValueError: a shape, dtype or device does not fit; the backend is unknown or
            not available here.
    """
    check_given(x=x, weight=weight)
    check_shape("weight", weight, x.shape[-1:])
    check_tensors(x=x, weight=weight)
    full = full_dtype(x)
    eps = torch.finfo(full).eps if eps is None else eps
    if residual is None:
        total = x.to(full)
    else:
        check_shape("residual", residual, x.shape)
        check_tensors(x=x, residual=residual)
        residual = residual.to(full)
        call = NormCall(x, residual, weight, eps)
        choice = own_kernel(call, x.device, backend)
        if choice is not None:
            return choice.add_norm(call)
        total = x.to(full) + residual
    return F.rms_norm(total, x.shape[-1:], weight, eps).to(x.dtype), total
