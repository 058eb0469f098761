"""Say which part of a config could not be built, and why."""

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import mmaction
import mmengine
import torch
from mmengine.config import Config, ConfigDict

import mmfusion
from mmfusion.engine.launch.argument_check import parameters_of, unknown
from mmfusion.engine.launch.config_check import walk
from mmfusion.utils.errors import MMFusionError

_MMENGINE = Path(mmengine.__file__).parent
_BUILDERS = _MMENGINE / "registry" / "build_functions.py"
_UNREAD = re.compile(
    r"(?P<owner>.+)\.__init__\(\) got an unexpected keyword argument '(?P<key>\w+)'"
)
_HOMES = tuple(
    Path(package.__file__ or "").parent
    for package in (mmengine, mmaction, torch, mmfusion)
)


def explain_build_error(config: Config | None, error: Exception) -> str | None:
    """One line about an error of building, with the key path where it is known.

    Args:
        config: whose parts are searched for the one that failed; None where there is
            none yet.
        error: as it was caught.

    Returns:
        None for an error that arose elsewhere, or in a class of the user's: its
        traceback is what shows the line.
    """
    part = _innermost_part(error.__traceback__)
    unread = None if part is None else _unread(error, part)
    if unread is None and not _is_of_building(error):
        return None
    text = error.args[0] if error.args else ""  # str() of a KeyError has quotes
    where = "the config cannot be built"
    if config is not None and part is not None:
        path = _path_of(part, config.to_dict())
        where = f"config key {path}: {_short(part)} cannot be built" if path else where
        if path and unread is not None:
            key, owner = unread
            known = parameters_of(owner)[0]
            return str(unknown(f"{path}.{key}", owner.__name__, key, known))
    kind = "" if isinstance(error, MMFusionError) else f"{type(error).__name__}: "
    return f"{where}: {kind}{text}"


def _unread(error: Exception, part: Mapping[str, Any]) -> tuple[str, type] | None:
    """A key of a part that its class hands on to a class above, and that class.

    Such a class takes any key (``**kwargs``), so that the check of the config cannot
    know it; None for any other error.
    """
    found = _UNREAD.match(str(error)) if isinstance(error, TypeError) else None
    if found is None or found["key"] not in part:
        return None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    above = type(frames[-1].f_locals.get("self")).__mro__[1:]
    owners = [kind for kind in above if kind.__qualname__ == found["owner"]]
    return (found["key"], owners[0]) if owners else None


def _is_of_building(error: Exception) -> bool:
    """True where MMEngine was building, and no code of the user's failed in it."""
    frames = [
        (Path(frame.filename), frame.name)
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    places = [n for n, (path, _) in enumerate(frames) if path.is_relative_to(_MMENGINE)]
    names = [frames[n][1] for n in places]
    if not any(name == "from_cfg" or name.startswith("build_") for name in names):
        return False
    inside = [path for path, _ in frames[places[-1] + 1 :]]
    return all(any(path.is_relative_to(home) for home in _HOMES) for path in inside)


def _innermost_part(trace: TracebackType | None) -> dict[str, Any] | None:
    """The config of the part that MMEngine was building when the error arose."""
    part = None
    while trace is not None:
        code, values = trace.tb_frame.f_code, trace.tb_frame.f_locals
        if Path(code.co_filename) == _BUILDERS and isinstance(
            cfg := values.get("cfg"), ConfigDict | dict
        ):
            part = cfg.to_dict() if isinstance(cfg, ConfigDict) else dict(cfg)
        trace = trace.tb_next
    return part if part and "type" in part and "model" not in part else None


def _path_of(part: dict[str, Any], config: dict[str, Any]) -> str:
    """Key path of the part of that type which shares most of its values; or ''."""
    best, found = -1, ""
    for path, node in walk(config):
        if isinstance(node, Mapping) and path and _short(node) == _short(part):
            same = sum(repr(node[key]) == repr(part.get(key)) for key in node)
            if same > best:
                best, found = same, path
    return found


def _short(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    return getattr(kind, "__name__", str(kind).rpartition(".")[2])
