"""Read a config, and say in one message what is wrong with it."""

import contextlib
import difflib
import importlib.util
import inspect
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config import config as mmengine_config
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from mmfusion.engine.errors import ConfigError

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
    "test_pipeline",
    "train_pipeline",
    "val_pipeline",
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

# what may change between two starts of the same run: it does not change the result
_FREE = re.compile(
    r"(work_dir|resume|launcher|log_level|experiment_name|gpu_ids)$"
    r"|(log_processor|visualizer|env_cfg|test_\w+|_\w*)(\.|$)"
    r"|default_hooks\.(logger|timer|progress|params|runtime_info|stop)(\.|$)"
    r"|default_hooks\.checkpoint\.(interval|iter_interval|max_keep_ckpts|on_save_error)$"
    r"|\w+_dataloader\.(num_workers|persistent_workers|pin_memory|prefetch_factor)$"
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
        raise ConfigError(_external(str(path)))
    if not Path(path).is_file():
        raise ConfigError(f"config {path} does not exist")
    with _local_bases_only():
        try:
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
    _import_plugins(config)
    return config


def _import_plugins(config: Config) -> None:
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
        f"{name!r} names a config of another package ('::'), for which MMEngine would "
        "install that package; copy the config and give its path"
    )


@contextlib.contextmanager
def _local_bases_only() -> Iterator[None]:
    """How bases are found, at any depth, while a config is read.

    ``package::`` is refused before MMEngine runs pip for it, and
    ``from mmfusion.configs.<folder>.<file> import *`` finds this project's ``configs/``
    from a config anywhere. MMEngine looks packages up by ``pkg_resources``, which newer
    setuptools no longer have.
    """
    original = Config._get_cfg_path
    original_lookup = mmengine_config.get_installed_path

    def guarded(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if "::" in cfg_path:
            raise ConfigError(f"{filename}: _base_ {_external(cfg_path)}")
        return original(cfg_path, filename)

    Config._get_cfg_path = staticmethod(guarded)
    mmengine_config.get_installed_path = _package_path
    try:
        yield
    finally:
        Config._get_cfg_path = staticmethod(original)
        mmengine_config.get_installed_path = original_lookup


def _package_path(package: str) -> str:
    """The folder in which a base's dotted path starts."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigError(f"a base is in package {package!r}, which is not installed")
    folder = Path(spec.origin).parent
    return str(folder.parent if package == "mmfusion" else folder)


def check_options(options: dict[str, Any]) -> None:
    """Refuse an option that would change nothing."""
    for key in options:
        top = key.split(".")[0]
        if top not in known_keys():
            raise ConfigError(
                f"--cfg-options {key}: {top!r} is not read by training or testing"
                f"{_nearest(top, known_keys())}"
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
            f"config {config.filename}: unknown key {key!r}"
            f"{_nearest(key, known_keys())} (a variable of the config's own must start "
            "with '_' or end with '_pipeline')"
        )


def _nearest(name: str, choices: Any) -> str:
    close = difflib.get_close_matches(name, sorted(choices), n=3, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else ""


def check_num_classes(model: Any, dataset: Any) -> None:
    """Compare each head's ``num_classes`` with the classes of the data's same task."""
    heads = getattr(model, "heads", None)
    metainfo = getattr(dataset, "metainfo", None) or {}
    classes = metainfo.get("classes")
    if heads is None or not isinstance(classes, dict):
        return
    for task, head in heads.items():
        if not hasattr(head, "num_classes"):
            continue
        if task not in classes:
            raise ConfigError(
                f"model.heads.{task}: the annotation has no task {task!r}, it has "
                f"{sorted(classes)}"
            )
        if head.num_classes != len(classes[task]):
            raise ConfigError(
                f"model.heads.{task}.num_classes is {head.num_classes}, "
                f"{getattr(dataset, 'source', 'the annotation')} has "
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


def explain_build_error(config: Config, error: Exception) -> str | None:
    """One line with the key path for an error of building; None where it says more."""
    text = str(error.args[0]) if error.args else ""  # str() of a KeyError has quotes
    argument = re.search(r"(\w+)\.__init__\(\) got an unexpected .*? '(\w+)'", text)
    missing = re.search(r"(\w+)\.__init__\(\) missing \d+ required .*?: (.*)", text)
    unknown = re.search(r"(\S+) is not in the (\S+?)::(.+?) registry", text)
    untyped = 'must contain the key "type"' in text
    nodes = list(walk(config.to_dict()))
    if argument:
        name, key = argument.groups()
        having = [(p, n) for p, n in nodes if isinstance(n, dict) and key in n]
        # a loader has no type, and a base class may refuse what it was handed on
        having.sort(key=lambda pair: not _is_type(pair[1], name))
        for path, node in having:
            hint = _arguments_hint(node.get("type"), key)
            return f"config key {path}.{key}: {name} has no argument {key!r}{hint}"
    elif missing:
        name, keys = missing.groups()
        for path, node in nodes:
            if isinstance(node, dict) and _is_type(node, name):
                return f"config key {path}: {name} lacks {keys}"
    elif unknown:
        name, scope, registry = unknown.groups()
        for path, node in nodes:
            if isinstance(node, dict) and _is_type(node, name):
                close = _nearest(name, _registered(registry))
                return f"config key {path}.type: no {registry} named {name!r}{close}"
    elif untyped:
        for path, node in nodes:
            if isinstance(node, dict) and f"but got {node}\n" in text:
                return f"config key {path}: it lacks 'type', got {node}"
    return None


def _arguments_hint(kind: Any, wrong: str) -> str:
    """What a registered class takes instead; '' for anything else."""
    name = str(kind).rpartition(".")[2]
    for registry in _registries():
        if inspect.isclass(found := registry.module_dict.get(name)):
            names = list(inspect.signature(found).parameters)
            return _nearest(wrong, names) or f"; it has {', '.join(names)}"
    return ""


def _is_type(node: dict[str, Any], name: str) -> bool:
    return str(node.get("type", "")).rpartition(".")[2] == name.rpartition(".")[2]


def _registered(registry: str) -> set[str]:
    """Names in our registry of that name and in those above it."""
    return {
        name
        for node in _registries()
        if node.name == registry
        for name in node.module_dict
    }


def _registries() -> Iterator[Registry]:
    """Ours, each followed by those above it."""
    from mmfusion import registry as ours

    for value in vars(ours).values():
        node = value if isinstance(value, Registry) else None
        while node is not None:
            yield node
            node = node.parent


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


def config_difference(
    old: dict[str, Any], new: dict[str, Any], max_lines: int = 10
) -> str:
    """What differs between two of ``comparable_config``; '' if nothing."""
    both = old.keys() | new.keys()
    keys = sorted(key for key in both if old.get(key) != new.get(key))
    lines = [
        f"  {key}: was {old.get(key, 'not set')!r}, is {new.get(key, 'not set')!r}"
        for key in keys[:max_lines]
    ]
    if len(keys) > max_lines:
        lines.append(f"  ... and {len(keys) - max_lines} more")
    return "\n".join(lines)
