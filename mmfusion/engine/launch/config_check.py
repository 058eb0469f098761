"""Read a config, and say in one message what is wrong with it."""

import inspect
import logging
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from mmfusion.engine.launch.config_files import (
    Reading,
    check_variables,
    external,
    further_down,
)
from mmfusion.engine.launch.config_parts import check_parts
from mmfusion.engine.launch.config_streams import check_streams
from mmfusion.engine.launch.nearest import nearest
from mmfusion.engine.protocols import DescribesData
from mmfusion.models.protocols import HasClasses, HasHeads
from mmfusion.utils.errors import ConfigError
from mmfusion.utils.secrets import hide_checkpoints, hide_in_urls

# what MMEngine, or we, read from a config beside the Runner's own arguments
_OTHER_KEYS = {
    "activation_checkpointing",
    "compile",
    "custom_imports",
    "efficient_conv_bn_eval",
    "env_cfg",
    "features",
    "find_unused_parameters",
    "model_wrapper_cfg",
    "runner_type",
    "sync_bn",
}
# of a loader: what cannot change a result
_RESULT_STAYS = re.compile(
    r"batch_size|num_workers|persistent_workers|pin_memory|prefetch_factor"
)


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
        raise ConfigError(external(str(path)))
    if not Path(path).is_file():
        raise ConfigError(f"config {path} does not exist")
    try:
        reading = Reading(Path(path))
        config = Config.fromfile(str(path))
    except ConfigError:
        raise
    except Exception as error:
        reason = str(error) or f"from {error.__cause__ or error.__context__!r}"
        raise ConfigError(
            f"config {path} cannot be read: {type(error).__name__}: {reason}"
        ) from error
    if options:
        check_options(options, config)
        try:
            config.merge_from_dict(options)
        except (KeyError, TypeError, AssertionError, IndexError, ValueError) as error:
            raise ConfigError(
                hide_in_urls(f"--cfg-options {options}: {error}")
            ) from error
        tops = dict.fromkeys(key.split(".")[0] for key in options)
        reading.changed(tops, "--cfg-options")
    check_variables(reading, Path(path), known_keys(), _known_paths(config))
    check_config(config)
    warn_of_what_stays_behind(reading, config)
    hide_checkpoints(config._cfg_dict)
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


def check_options(options: dict[str, Any], config: Config) -> None:
    """Refuse an option whose first key does nothing, and tell the key that would.

    Args:
        options: dotted key to value.
        config: where the last name of an option may be found further down.
    """
    for key in options:
        top, _, _ = key.partition(".")
        if top in known_keys():
            continue
        hint = further_down(key.rpartition(".")[2], _known_paths(config))
        raise ConfigError(
            f"--cfg-options {key}: {top!r} is not read by training or testing"
            f"{hint or nearest(top, known_keys())}"
        )


def _known_paths(config: Config) -> list[str]:
    """Dotted path of every key below those that do something."""
    plain, known = config.to_dict(), known_keys()
    return [path for path, _ in walk({k: plain[k] for k in plain if k in known})]


def check_config(config: Config) -> None:
    """Refuse what nothing reads, and parts that cannot be built; import plugins first.

    Raises:
        ConfigError: the key path, what came and what was expected.
    """
    known = known_keys()
    plain = config.to_dict()
    unknown = plain.keys() - known
    for key in unknown - set(_variables(config) if unknown else ()):
        raise ConfigError(
            f"config {config.filename or 'given'}: unknown key {key!r}"
            f"{nearest(key, known)}"
        )
    import_plugins(config)
    plain = {key: value for key, value in plain.items() if key in known}
    check_parts(plain)
    check_streams(plain)


def _variables(config: Config) -> Collection[str]:
    """Names that the config's own files set, which are no keys of a run."""
    if config.filename is None or not Path(config.filename).is_file():
        return ()
    return Reading(Path(config.filename)).names


def warn_of_what_stays_behind(reading: Reading, config: Config) -> None:
    """Log each key that was equal to another one which then changed without it."""
    for name, (twin, write) in reading.behind.items():
        if not {name, twin} <= known_keys() or config.get(twin) is None:
            continue  # None: it is left out, as by --no-validate
        old, new = dict(walk(config.get(name))), dict(walk(config.get(twin)))
        changed = [
            path or twin
            for path in dict.fromkeys([*new, *old])
            if old.get(path) != new.get(path)
            and not isinstance(new.get(path), dict | list)
            and not _RESULT_STAYS.fullmatch(path)
        ]
        if changed:
            old_keys = ", ".join([*changed[:3], *(["..."] if changed[3:] else [])])
            print_log(
                f"{write.place} changes {twin}, but {name}, which was equal to it,"
                f" keeps its old {old_keys}; to change both, set {name} too"
                f" ({name} = {twin})",
                "current",
                logging.WARNING,
            )


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
