"""Compare arguments with the signature of the class or function that takes them."""

import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from mmfusion.engine.launch.argument_kinds import (
    fits,
    hints_of,
    kind_of_default,
    shown_kind,
)
from mmfusion.engine.launch.nearest import nearest
from mmfusion.utils.errors import ConfigError

# what can only be counted; -1 says "all" or "never" where a default does
_COUNT = re.compile(
    r"num_\w+|\w+_dims|depth|batch_size|(img|patch|window|tubelet|crop)_size|d_\w+"
    r"|val_interval|prefetch_factor"
    r"|expand|max_epochs|T_max|accumulative_counts|patience|in_channels"
)
_NOT_EMPTY = re.compile(
    r"num_(frames|views|classes|heads)|\w+_dims|\w+_size|T_max|val_interval"
)
# key paths whose None completion.py replaces before anything is built
_OPEN = re.compile(
    r"model(\.auxiliary\.\w+\.teacher)?\."
    r"(heads\.\w+\.(num_classes|in_dims)"
    r"|neck\.embed_dims|data_preprocessor\.(mean|std)"
    r"|encoders\.\w+\.(arch|num_hands|num_joints))"
    r"|\w+_dataloader(\.dataset)+\.(ann_file|data_root|link_roots)"
    r"|\w+_dataloader\..*\.pipeline\.\d+\.(num_frames|scale|size|resample|crop_size)"
    r"|param_scheduler\.\d+\.(begin|end|T_max)"
)


def class_name(kind: Any) -> str:
    """Name of a class or function, or of what a dotted path leads to."""
    return getattr(kind, "__name__", str(kind).rpartition(".")[2])


def check_arguments(
    found: Callable,
    arguments: dict[str, Any],
    path: str,
    given: frozenset[str],
    taken: frozenset[str] = frozenset(),
) -> None:
    """Compare names, values and completeness of a part's arguments.

    Args:
        found: what takes them. arguments: by name. path: of the part in the config.
        given: names that a builder passes. taken: names that a builder reads itself.

    Raises:
        ConfigError: the key path of the first fault.
    """
    check_names(found, arguments, path, given, taken)
    known, _ = parameters_of(found)
    missing = [
        name
        for name, parameter in known.items()
        if parameter.default is parameter.empty
        and name not in given
        and name not in arguments
    ]
    if missing:
        raise ConfigError(
            f"config key {path}: {class_name(found)} lacks {missing[0]!r}"
        )


def check_names(
    found: Callable,
    arguments: dict[str, Any],
    path: str,
    given: frozenset[str] = frozenset(),
    taken: frozenset[str] = frozenset(),
) -> None:
    """Names and values alone, as :func:`check_arguments`: a builder may add others."""
    known, is_open = parameters_of(found)
    for key, value in arguments.items():
        if key not in known and not is_open:
            names = (known.keys() | taken) - given
            raise unknown(f"{path}.{key}", class_name(found), key, names)
        check_value(found, f"{path}.{key}", key, value, known.get(key))


def check_value(
    found: Callable, path: str, key: str, value: Any, parameter: Any
) -> None:
    """Raise ConfigError where a value is not of its argument's kind.

    Args:
        parameter: of the signature of ``found``; None where it has none of that name.
    """
    default = getattr(parameter, "default", ...)
    hint = hints_of(found).get(key, kind_of_default(found, default))
    if value is None and (default is None or _OPEN.fullmatch(path)):
        return
    if not fits(value, hint):
        raise wrong_value(path, value, hint)
    if not (isinstance(default, int) and default < 0):
        check_count(path, key, value)


def check_count(path: str, key: str, value: Any) -> None:
    """Refuse a size or a number of things below 0, or of none where one is needed."""
    if not _COUNT.fullmatch(key):
        return
    least = 1 if _NOT_EMPTY.fullmatch(key) else 0
    numbers = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(x, int | float) and x < least for x in numbers):
        raise ConfigError(
            f"config key {path}: got {value!r}, expected no number below {least}"
        )


def wrong_value(path: str, value: Any, hint: Any) -> ConfigError:
    """The error of a value that is not of the kind ``hint``."""
    return ConfigError(f"config key {path}: got {value!r}, expected {shown_kind(hint)}")


def unknown(path: str, name: str, key: str, known: Any) -> ConfigError:
    """The error of a key that ``name`` does not have; names the nearest or all."""
    known = [one for one in known if one not in ("self", "args", "kwargs")]
    near = nearest(key, known)
    if not near and known:
        near = f"; it has {', '.join(sorted(known))}"
    return ConfigError(f"config key {path}: {name} has no argument {key!r}{near}")


@cache
def parameters_of(found: Callable) -> tuple[dict[str, inspect.Parameter], bool]:
    """Arguments by name, those of the classes above where the rest goes there too.

    The second is True where any other name may be an argument, too.
    """
    if not inspect.isclass(found):
        owners: list[Any] = [found]
    else:
        owners = [base.__dict__.get("__init__") for base in found.__mro__[:-1]]
        owners = [init for init in owners if init is not None] or [None]
    names: dict[str, inspect.Parameter] = {}
    for owner in owners:
        if owner is None:
            return names, False
        try:
            parameters = list(inspect.signature(owner).parameters.values())
        except (TypeError, ValueError):  # written in C
            return names, True
        for parameter in parameters[1:] if inspect.isclass(found) else parameters:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                names.setdefault(parameter.name, parameter)
        if parameters[-1:] == [] or parameters[-1].kind != parameters[-1].VAR_KEYWORD:
            return names, False
        home = getattr(owner, "__module__", "").partition(".")[0]
        if home not in ("mmfusion", "mmengine", "torch"):
            return names, True  # the rest may go anywhere
    return names, True
