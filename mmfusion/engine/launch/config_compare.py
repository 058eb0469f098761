"""Comparison of two configs: the same run, or the keys that differ."""

import json
import re
from typing import Any

from mmengine.config import Config

from mmfusion.engine.launch.config_check import known_keys, walk

# what may change between two starts of the same run: it does not change the result
_FREE = re.compile(
    r"(work_dir|resume|launcher|log_level|experiment_name|gpu_ids)$"
    r"|(log_processor|visualizer|test_\w+|_\w*)(\.|$)"
    r"|env_cfg\.(dist_cfg|mp_cfg|resource_limit|tune_cpu_allocator)(\.|$)"
    r"|optim_wrapper\.paramwise_cfg\.may_be_absent(\.|$)"
    r"|default_hooks\.(logger|timer|progress|params|runtime_info|stop|streams)(\.|$)"
    r"|default_hooks\.checkpoint\.(interval|iter_interval|max_keep_ckpts|on_save_error)$"
    r"|\w+_dataloader\.(num_workers|persistent_workers|pin_memory|prefetch_factor)$"
)


def comparable_config(config: Config) -> dict[str, Any]:
    """The part of a config that decides a run's result: dotted key -> plain value."""
    plain = json.loads(json.dumps(config.to_dict(), default=_describe))
    if plain.get("resume") is True:
        plain["load_from"] = None  # where it went on, not where it came from
    keys = known_keys()
    return {
        path: value
        for path, value in walk(plain)
        if path.split(".")[0] in keys
        and value is not None
        and not _FREE.match(path)
        and not (isinstance(value, dict | list) and value)
    }


def _describe(value: Any) -> str:
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return f"{type(value).__module__}.{type(value).__qualname__}"


def config_edits(
    old: dict[str, Any], new: dict[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Keys in which two of ``comparable_config`` differ, with both values, sorted.

    None stands for a key that is not set.
    """
    return {
        key: (old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    }


def describe_edit(key: str, was: Any, now: Any) -> str:
    """One line for an entry of ``config_edits``."""
    was, now = ("not set" if value is None else value for value in (was, now))
    return f"  {key}: was {was!r}, is {now!r}"


def config_difference(
    old: dict[str, Any], new: dict[str, Any], max_lines: int = 10
) -> str:
    """Differences between two of ``comparable_config``; '' if there are none."""
    edits = config_edits(old, new).items()
    lines = [describe_edit(key, was, now) for key, (was, now) in edits]
    if len(lines) > max_lines:
        lines[max_lines:] = [f"  ... and {len(lines) - max_lines} more"]
    return "\n".join(lines)
