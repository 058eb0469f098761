"""Check the values and sections of a config that have no type.

The keys of sections (``env_cfg``...) are listed here: MMEngine passes over any other.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import init_dist

from mmfusion.engine.launch.argument_check import check_count, unknown, wrong_value
from mmfusion.engine.launch.argument_kinds import fits
from mmfusion.engine.launch.nearest import nearest
from mmfusion.utils.errors import ConfigError

_bool, _str, _int = bool, str, int
_SECTIONS: dict[str, dict[str, Any]] = {
    "auto_scale_lr": {"base_batch_size": _int, "enable": _bool},
    "custom_imports": {"allow_failed_imports": _bool, "imports": list[str] | str},
    "env_cfg": {
        "cudnn_benchmark": _bool,
        "dist_cfg": dict | None,
        "flush_denormals": _bool,
        "mp_cfg": dict | None,
        "num_threads": _int | None,
        "resource_limit": _int,
        "tune_cpu_allocator": _bool,
    },
    "env_cfg.mp_cfg": {"mp_start_method": _str, "opencv_num_threads": _int},
    "randomness": {
        "deterministic": _bool,
        "diff_rank_seed": _bool,
        "seed": _int | None,
    },
}
_VALUES = {
    "default_scope": _str | None,
    "experiment_name": _str | None,
    "find_unused_parameters": _bool,
    "launcher": _str,
    "load_from": _str | None,
    "log_level": _int | _str,
    "resume": _bool | _str,
    "sync_bn": _str | None,
    "work_dir": _str | None,
}


def check_plain(key: str, value: Any) -> None:
    """Raise ConfigError where a value at the top is not of its key's kind."""
    if key in _VALUES and not fits(value, _VALUES[key]):
        raise wrong_value(key, value, _VALUES[key])


def check_sections(config: Mapping[str, Any]) -> None:
    """Compare plain values and sections without a type with what reads them.

    Raises:
        ConfigError: the key path of the first fault, and what is known there.
    """
    for path, known in _SECTIONS.items():
        _check_section(at(config, path), path, known)
    _check_process_group(at(config, "env_cfg.dist_cfg"))
    _check_compile(config.get("compile"))


def at(config: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path of dicts; None where there is none."""
    value: Any = config
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _check_section(section: Any, path: str, known: dict[str, Any]) -> None:
    if section is None:
        return
    if not isinstance(section, dict):
        raise ConfigError(f"config key {path}: got {section!r}, expected a dict")
    for key, value in section.items():
        if key not in known:
            raise ConfigError(
                f"config key {path}.{key}: unknown, expected some of {sorted(known)}"
                f"{nearest(key, known)}"
            )
        if not fits(value, known[key]):
            raise wrong_value(f"{path}.{key}", value, known[key])
        check_count(f"{path}.{key}", key, value)


def _check_process_group(section: Any) -> None:
    """Keys of ``env_cfg.dist_cfg``, which only a run of several processes reads."""
    if not isinstance(section, dict):
        return
    known = set(inspect.signature(torch.distributed.init_process_group).parameters)
    known |= set(inspect.signature(init_dist).parameters) | {"port", "init_backend"}
    for key in set(section) - known:
        raise unknown(f"env_cfg.dist_cfg.{key}", "init_process_group", key, known)


def _check_compile(options: Any) -> None:
    if isinstance(options, bool | None):
        return
    if not isinstance(options, dict):
        raise ConfigError(
            f"config key compile: got {options!r}, expected True, False or a dict"
        )
    known = set(inspect.signature(torch.compile).parameters) - {"model"}
    for key in set(options) - known:
        raise unknown(f"compile.{key}", "torch.compile", key, known)
