"""Steps that every backbone takes: check its clip, run its blocks, give its tokens.

Shapes: b clips, f frames, t times (f, or fewer where a patch has several frames), p
patches of a time, d channels.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmfusion.ops.backends import same_scan_backend
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError


def check_clip(x: Tensor, shape: Sequence[int]) -> None:
    """Raise ValueError unless x is (b, *shape), the size a backbone was built for.

    And unless it is of floats: the recognizer's preprocessor makes them of uint8.
    """
    if tuple(x.shape[1:]) != tuple(shape):
        sizes = ", ".join(map(str, shape))
        raise InputError(f"video has shape {tuple(x.shape)}, expected (b, {sizes})")
    if not x.is_floating_point():
        raise InputError(
            f"video has dtype {x.dtype}, expected floats; MultiModalPreprocessor makes"
            " them of uint8"
        )


def run_block(block: nn.Module, with_cp: bool, x: Tensor, *more: Any) -> Any:
    """Run ``block(x, *more)``; with ``with_cp`` recompute it in the backward."""
    if with_cp and torch.is_grad_enabled():
        options: dict[str, Any] = dict(use_reentrant=False)
        if not torch.compiler.is_compiling():  # it chose the backend when it traced
            options["context_fn"] = same_scan_backend
        return checkpoint(block, x, *more, **options)
    return block(x, *more)


def clip_features(x: Tensor, mask: Tensor | None, times: int) -> TokenFeatures:
    """Split the CLS token, which is in front, from the patches of a clip.

    Args:
        x: (b, 1 + t p, d). mask: (b, f) bool, False for a frame that is not there, or
            None. times: t.

    Returns:
        tokens (b, t p, d), cls (b, d), and mask (b, t p), True where any frame of the
        patch is there, or None.
    """
    if mask is not None:
        tubes = mask.unflatten(1, (times, -1)).any(-1)  # (b, t)
        mask = tubes.repeat_interleave((x.shape[1] - 1) // times, dim=1)  # (b, t p)
    return TokenFeatures(tokens=x[:, 1:], cls=x[:, 0], mask=mask)
