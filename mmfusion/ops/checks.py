"""Checks of the public functions here: each says the argument, its value and why."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mmfusion.utils.errors import InputError

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def check_given(**tensors: Tensor | None) -> None:
    """Raise ValueError unless each is a tensor."""
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise InputError(f"{name} is a {type(value).__name__}, expected a tensor")


def check_shape(name: str, value: Tensor | None, shape: Sequence[int]) -> None:
    """Raise ValueError unless it is a tensor of exactly this shape."""
    check_given(**{name: value})
    assert value is not None
    if tuple(value.shape) != tuple(shape):
        raise InputError(
            f"{name} has shape {tuple(value.shape)}, expected {tuple(shape)}"
        )


def check_axes(
    tensors: Mapping[str, Tensor | None],
    axes: Mapping[str, str],
    sizes: dict[str, int],
) -> None:
    """Raise ValueError unless each has its axes, by the rules of ``check_tensors`` too.

    Args:
        tensors: by name. axes: the same names in the order of checking, as ``"b l d"``;
            with ``?`` at the end the tensor may be None.
        sizes: of the axes known so far; the first tensor with another axis adds it.
    """
    for name, letters in axes.items():
        value = tensors[name]
        if value is None and letters.endswith("?"):
            continue
        check_given(**{name: value})
        assert value is not None
        names = letters.rstrip("?").split()
        sides = dict(zip(names, value.shape, strict=False))
        fits = value.dim() == len(names) and 0 not in value.shape
        if not fits or any(sizes.get(x, size) != size for x, size in sides.items()):
            known = [f"{x}={sizes[x]}" if x in sizes else x for x in names]
            raise InputError(
                f"{name} has shape {tuple(value.shape)}, expected"
                f" ({', '.join(known)}), none 0"
            )
        sizes.update(sides)
    check_tensors(**tensors)


def check_tensors(**tensors: Tensor | None) -> None:
    """Raise ValueError unless all are real floats on one device, float64 all or none.

    The first one given is what the others are compared with; None is passed over.
    """
    given = [(name, value) for name, value in tensors.items() if value is not None]
    first, reference = given[0]
    for name, value in given:
        if value.dtype not in FLOATS:
            raise InputError(
                f"{name} has dtype {value.dtype}, expected float32, bfloat16, float16"
                " or float64"
            )
        if value.device != reference.device:
            raise InputError(
                f"{name} is on {value.device} and {first} on {reference.device},"
                " expected one device"
            )
        if (value.dtype == torch.float64) != (reference.dtype == torch.float64):
            raise InputError(
                f"{name} has dtype {value.dtype} and {first} {reference.dtype}:"
                " either every tensor is float64 or none"
            )
