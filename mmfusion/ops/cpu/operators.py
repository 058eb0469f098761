"""Registration and autograd, which the operators of the ``cpu`` backend share.

Each is opaque to torch.compile; its gradient is an operator too. Arguments are checked
by the public functions: these operators take what they get.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmfusion.ops.gradients import differentiable_once, refuse_forward_mode

Tensors = Sequence[Any]  # None where one is absent

_OPERATORS = torch.library.Library("mmfusion", "FRAGMENT")


def define(
    name: str,
    schema: str,
    kernel: Callable,
    fake: Callable,
    function: type[torch.autograd.Function] | None = None,
) -> None:
    """Register an operator; cheaper to call than through torch.library.custom_op.

    Args:
        name: without namespace. schema: as PyTorch writes them. kernel: for the CPU.
        fake: what torch.compile knows of it. function: its gradient, whose forward
            gets the dispatcher's key set and the arguments; None: it has none.
    """
    _OPERATORS.define(f"{name}{schema}")
    _OPERATORS.impl(name, kernel, "CPU")
    torch.library.register_fake(f"mmfusion::{name}", fake, lib=_OPERATORS)
    if function is None:
        return

    def autograd(keyset, *args):
        refuse_forward_mode("cpu", args)
        if torch.is_grad_enabled() and torch._C._any_requires_grad(*args):
            return function.apply(keyset, *args)
        return below_autograd(name, keyset, *args)

    _OPERATORS.impl(name, autograd, "Autograd", with_keyset=True)


def below_autograd(name: str, keyset, *args):
    """The operator itself, as torch.library's own autograd kernels call it."""
    operator = getattr(torch.ops.mmfusion, name).default
    with torch._C._AutoDispatchBelowAutograd():
        return operator.redispatch(keyset & torch._C._after_autograd_keyset, *args)


def run_backward(name: str, *args) -> Sequence[Tensor | None]:
    """The gradients by the operator of that name; nothing differentiates them again."""
    with torch.no_grad():  # with create_graph autograd would look into the kernel
        grads = getattr(torch.ops.mmfusion, name)(*args)
    sources = [x for x in args if isinstance(x, Tensor)]
    return differentiable_once("cpu", grads, sources)


def with_last_stride_1(x: Any) -> Any:
    """The tensor or a copy of it; None stays."""
    return x if x is None or x.stride(-1) == 1 else x.contiguous()


def as_float(x: Any) -> Any:
    """float32 without gaps; None stays."""
    return None if x is None else x.float().contiguous()


def wanted_gradients(tensors: Tensors, wanted: Sequence[bool]) -> list[Tensor]:
    """Empty gradients of those tensors that are wanted."""
    pairs = zip(tensors, wanted, strict=True)
    return [x.new_empty(x.shape) for x, is_wanted in pairs if is_wanted]


def spread(values: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
    """The values at the wanted places, None at the others."""
    rest = iter(values)
    return [next(rest) if is_wanted else None for is_wanted in wanted]
