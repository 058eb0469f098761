"""Rules for autocast: what it may and may not lower."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from mmfusion.ops.backends import constant_for_compiler


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Inside, autocast lowers nothing on the device of x."""
    kind = x.device.type
    if not _has_autocast(kind):  # meta, say
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def full_dtype(x: Tensor) -> torch.dtype:
    """Dtype of states and sums: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def autocast_dtype(x: Tensor) -> torch.dtype:
    """Dtype that autocast gives x where it lowers an operation; else that of x."""
    kind = x.device.type
    if x.dtype == torch.float64 or not _has_autocast(kind):
        return x.dtype
    return (
        torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
    )


@constant_for_compiler  # PyTorch 2.11 cannot trace the question
def _has_autocast(kind: str) -> bool:
    return torch.amp.is_autocast_available(kind)
