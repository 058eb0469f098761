"""Compare a plain value of a config with the annotation of an argument."""

import collections.abc
import contextlib
import inspect
import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Any

from torch import Tensor, nn

# whose annotations can be believed
_HOMES = ("mmfusion", "mmengine", "torch")
_SEQUENCES = (list, tuple, set, collections.abc.Sequence, collections.abc.Iterable)
_MAPPINGS = (dict, collections.abc.Mapping)
_PLAIN = (bool, int, float, str)


@cache
def hints_of(found: Callable) -> dict[str, Any]:
    """Annotations of the arguments of a class, or function, by their names."""
    if getattr(found, "__module__", "").partition(".")[0] not in _HOMES:
        return {}
    if not inspect.isclass(found):
        owners: list[Any] = [found]
    else:
        owners = [base.__dict__.get("__init__") for base in found.__mro__[::-1]]
    hints: dict[str, Any] = {}
    for owner in owners:
        if inspect.isfunction(owner):
            for name, annotation in owner.__annotations__.items():
                # alone: one that only a type checker can read does not hide the others
                alone = type("Alone", (), {"__annotations__": {name: annotation}})
                with contextlib.suppress(NameError, TypeError, AttributeError):
                    hints |= typing.get_type_hints(alone, owner.__globals__)
    return hints


def kind_of_default(found: Callable, default: Any) -> Any:
    """Annotation in place of one that is not there, by the default; else Any."""
    home = getattr(found, "__module__", "").partition(".")[0]
    if home not in _HOMES or type(default) not in _PLAIN:
        return Any
    return float if type(default) is int else type(default)


def fits(value: Any, hint: Any) -> bool:
    """False where a plain value cannot be what the annotation says.

    Lists and tuples stand for each other, a whole number for any number, and what is
    no plain annotation takes everything.
    """
    origin = typing.get_origin(hint) or hint
    inner = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is typing.Literal:
        return value in inner
    if origin is None or origin is type(None):
        return value is None
    if origin in (int, float):
        kinds = int if origin is int else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool)
    if origin in (bool, str):
        return isinstance(value, origin)
    if origin in _SEQUENCES:
        return _fits_sequence(value, origin, inner)
    if origin in _MAPPINGS:
        whole = isinstance(value, dict)
        return whole and (
            len(inner) != 2 or all(fits(item, inner[1]) for item in value.values())
        )
    if inspect.isclass(origin) and issubclass(origin, Tensor):
        return isinstance(value, Tensor)
    is_module = inspect.isclass(origin) and issubclass(origin, nn.Module)
    return not (is_module and isinstance(value, _PLAIN))


def _fits_sequence(value: Any, origin: Any, inner: tuple) -> bool:
    if not isinstance(value, list | tuple | set):
        return False
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return len(value) == len(inner) and all(map(fits, value, inner))
    return not inner or all(fits(item, inner[0]) for item in value)


def shown_kind(hint: Any) -> str:
    """The annotation as a config's reader would say it."""
    origin = typing.get_origin(hint) or hint
    inner = typing.get_args(hint)
    names = {
        bool: "True or False",
        int: "a whole number",
        float: "a number",
        str: "a string",
        type(None): "None",
        None: "None",
    }
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(shown_kind(one) for one in inner))
    if origin is typing.Literal:
        return f"one of {inner}"
    if origin in _SEQUENCES:
        return "a list" + (f" of {shown_kind(inner[0])}s" if inner else "")
    if origin in _MAPPINGS:
        return "a dict"
    return names.get(origin, getattr(origin, "__name__", str(origin)))
