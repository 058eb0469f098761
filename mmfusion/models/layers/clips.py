"""Steps that every backbone takes: check its clip, run its blocks."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmfusion.utils.errors import InputError


def check_clip(x: Tensor, shape: Sequence[int]) -> None:
    """Raise ValueError unless x is (b, *shape), the size a backbone was built for."""
    if tuple(x.shape[1:]) != tuple(shape):
        raise InputError(
            f"video has shape {tuple(x.shape)}, expected (b, *{tuple(shape)})"
        )


def run_block(block: nn.Module, with_cp: bool, x: Tensor, *more: Any) -> Any:
    """Run ``block(x, *more)``; with ``with_cp`` recompute it in the backward."""
    if with_cp and torch.is_grad_enabled():
        return checkpoint(block, x, *more, use_reentrant=False)
    return block(x, *more)
