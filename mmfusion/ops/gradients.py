"""Gradients that are computed by hand, which nothing can differentiate again."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

from mmfusion.utils.errors import BackendError


def differentiable_once(
    backend: str, grads: Sequence[Tensor | None], sources: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients; differentiating them again is an error, not silently zero.

    Args:
        backend: its name, for the message. grads: of any shapes; None stays.
        sources: what the gradients depend on.
    """
    if not torch.is_grad_enabled():  # it is where the caller wants to create_graph
        return list(grads)
    given = [grad for grad in grads if grad is not None]
    tied = iter(_Once.apply(backend, len(given), *given, *sources))
    return [None if grad is None else next(tied) for grad in grads]


def refuse_forward_mode(backend: str, values: Sequence[object]) -> None:
    """Raise if one is a dual tensor: its derivative would silently be lost.

    Args:
        backend: its name, for the message. values: what an operator got.
    """
    tensors = (x for x in values if isinstance(x, Tensor))
    if any(forward_ad.unpack_dual(x).tangent is not None for x in tensors):
        raise BackendError(
            f"the {backend} backend has no derivatives in forward mode;"
            " use backend='reference', or scan_backend('reference') around the model"
        )


class _Once(torch.autograd.Function):
    """Passes gradients on, tied to what they depend on by a backward that raises."""

    @staticmethod
    def forward(ctx, backend, count, *tensors):
        ctx.backend = backend
        return tuple(grad.view_as(grad) for grad in tensors[:count])

    @staticmethod
    def backward(ctx, *grads):
        raise BackendError(
            f"gradients of the {ctx.backend} backend cannot be differentiated again;"
            " use backend='reference', or scan_backend('reference') around the model"
        )
