"""Settings of a run in its process, and the part of its log for the console."""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import print_log

from mmfusion.utils.allocator import tune_cpu_allocator


def set_up_cpu(env_cfg: Mapping[str, Any], model: Any = None) -> None:
    """Do what ``flush_denormals``, ``tune_cpu_allocator`` and ``num_threads`` say.

    What this machine cannot do is told in the log. So is that a model (its config) with
    ``with_cp`` gets no tuned allocator: memory that is kept breaks into pieces where
    blocks are computed again, and the peak that ``with_cp`` is to lower stays.
    """
    if env_cfg.get("flush_denormals") and not torch.set_flush_denormal(True):
        _log_no_effect("flush_denormals", "this CPU cannot")
    if env_cfg.get("tune_cpu_allocator"):
        if recomputes(model):
            _log_no_effect("tune_cpu_allocator", "with_cp needs memory given back")
        elif not tune_cpu_allocator():
            _log_no_effect("tune_cpu_allocator", "this C library is not glibc")
    if env_cfg.get("num_threads") is not None:
        torch.set_num_threads(env_cfg["num_threads"])


def recomputes(config: Any) -> bool:
    """True where a part of a model's config has ``with_cp``."""
    if isinstance(config, Mapping):
        return bool(config.get("with_cp")) or any(map(recomputes, config.values()))
    return isinstance(config, list | tuple) and any(map(recomputes, config))


def _log_no_effect(option: str, reason: str) -> None:
    print_log(f"env_cfg.{option} is set, but {reason}: it has no effect", "current")


def is_for_console(record: logging.LogRecord) -> bool:
    """False for the long texts with which MMEngine's runner begins."""
    long = ("System environment:", "Config:\n", "Hooks will be executed")
    return not record.getMessage().lstrip("\n-").startswith(long)
