"""Read a config, and say in one message what is wrong with it."""

import difflib
import inspect
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from mmfusion.engine.protocols import DescribesData
from mmfusion.models.protocols import HasClasses, HasHeads
from mmfusion.utils.errors import ConfigError

# what MMEngine reads from a config beside the Runner's own arguments
_OTHER_KEYS = {
    "activation_checkpointing",
    "compile",
    "custom_imports",
    "efficient_conv_bn_eval",
    "env_cfg",
    "find_unused_parameters",
    "model_wrapper_cfg",
    "runner_type",
    "sync_bn",
}
# variables that configs use to build others; to change one later has no effect
_HELPERS = {
    "ann_file",
    "ann_file_test",
    "ann_file_train",
    "ann_file_val",
    "batch_size",
    "data_root",
    "dataset_type",
    "img_size",
    "max_epochs",
    "num_classes",
    "num_frames",
    "num_views",
}
_HELPER_PATTERN = re.compile(r"_.*|.*_pipeline|file_client_args")

# plain dicts, of which MMEngine reads these keys and passes over any other
_SECTIONS = {
    "auto_scale_lr": {"base_batch_size", "enable"},
    "env_cfg": {
        "cudnn_benchmark",
        "dist_cfg",
        "flush_denormals",
        "mp_cfg",
        "num_threads",
        "resource_limit",
        "tune_cpu_allocator",
    },
    "randomness": {"deterministic", "diff_rank_seed", "seed"},
}


def known_keys() -> set[str]:
    """Every top-level key that does something."""
    arguments = set(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"}
    return arguments | _OTHER_KEYS


def load_config(
    path: str | os.PathLike, options: dict[str, Any] | None = None
) -> Config:
    """Read a config file, merge the options of the command line, check its keys.

    Args:
        path: a local ``.py``, ``.json`` or ``.yaml``.
        options: dotted key to value, from ``--cfg-options``.

    Raises:
        ConfigError: names the key or file, what came and what was expected.
    """
    if "::" in str(path):
        raise ConfigError(_external(str(path)))
    if not Path(path).is_file():
        raise ConfigError(f"config {path} does not exist")
    try:
        _refuse_external_bases(Path(path))
        config = Config.fromfile(str(path))
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"config {path} cannot be read: {type(error).__name__}: {error}"
        ) from error
    if options:
        check_options(options)
        try:
            config.merge_from_dict(options)
        except (KeyError, TypeError, AssertionError) as error:
            raise ConfigError(f"--cfg-options {options}: {error}") from error
    check_keys(config)
    import_plugins(config)
    return config


def import_plugins(config: Config) -> None:
    """Import ``custom_imports``, which MMEngine forgets in a pure-Python config."""
    imports = config.get("custom_imports")
    if not imports:
        return
    try:
        import_modules_from_strings(**imports)
    except (ImportError, TypeError) as error:
        raise ConfigError(
            f"config {config.filename}: custom_imports = {dict(imports)}: {error}; "
            "importable are installed packages and files beside the config or in the "
            "current folder"
        ) from error


def _external(name: str) -> str:
    return (
        f"{name!r} names a config of another package ('::'), which MMEngine looks up "
        "by what pip and mim know; copy the config and give its path, or import it by "
        "'from package.configs... import *' under read_base"
    )


def _refuse_external_bases(path: Path) -> None:
    """Raise where a ``_base_``, at any depth, is in another package by ``::``."""
    for base in Config._get_base_files(str(path)):
        if "::" in base:
            raise ConfigError(f"{path}: _base_ {_external(base)}")
        _refuse_external_bases(path.parent / base)


def check_options(options: dict[str, Any]) -> None:
    """Refuse an option that would change nothing."""
    for key in options:
        top = key.split(".")[0]
        if top not in known_keys():
            raise ConfigError(
                f"--cfg-options {key}: {top!r} is not read by training or testing"
                f"{nearest(top, known_keys())}"
            )


def check_keys(config: Config) -> None:
    """Refuse an unknown key at the top, or in a dict that builds nothing."""
    plain = config.to_dict()
    for section, known in _SECTIONS.items():
        for key in set(plain.get(section) or ()) - known:
            raise ConfigError(
                f"config key {section}.{key}: unknown, expected some of {sorted(known)}"
            )
    for key in plain:
        if key in known_keys() | _HELPERS or _HELPER_PATTERN.fullmatch(key):
            continue
        raise ConfigError(
            f"config {config.filename or 'given'}: unknown key {key!r}"
            f"{nearest(key, known_keys())} (a variable of the config's own must start "
            "with '_' or end with '_pipeline')"
        )


def nearest(name: str, choices: Iterable[str]) -> str:
    """The choices that look like ``name``, as the end of a message; '' if none."""
    close = difflib.get_close_matches(name, sorted(choices), n=3, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else ""


def check_num_classes(model: Any, dataset: Any) -> None:
    """Compare each head's ``num_classes`` with the classes of the data's same task."""
    if not (isinstance(model, HasHeads) and isinstance(dataset, DescribesData)):
        return
    classes = (dataset.metainfo or {}).get("classes")
    if not isinstance(classes, dict):
        return
    for task, head in model.heads.items():
        if not isinstance(head, HasClasses):
            continue
        if task not in classes:
            raise ConfigError(
                f"model.heads.{task}: the annotation has no task {task!r}, it has "
                f"{sorted(classes)}"
            )
        if head.num_classes != len(classes[task]):
            raise ConfigError(
                f"model.heads.{task}.num_classes is {head.num_classes}, "
                "the annotation has "
                f"{len(classes[task])} classes of {task!r}; set "
                f"model.heads.{task}.num_classes={len(classes[task])}"
            )


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every (dotted key path, value) within dicts and lists, the value itself first."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from walk(item, f"{path}.{index}")
