"""Check every part of a config against the class that it builds, before any is built.

A part is a dict with ``type``. Its keys must be arguments of that class, those that
have no default must be there, and plain values must be of the kind that the class
states.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from mmengine.registry import Registry
from torch.utils.data import DataLoader

from mmfusion import registry as ours
from mmfusion.engine.launch.argument_check import (
    check_arguments,
    check_count,
    check_names,
    check_value,
    class_name,
    parameters_of,
    unknown,
    wrong_value,
)
from mmfusion.engine.launch.argument_kinds import fits
from mmfusion.engine.launch.config_sections import at, check_plain, check_sections
from mmfusion.engine.launch.nearest import nearest
from mmfusion.utils.errors import ConfigError

MMENGINE_HOOKS = {
    "checkpoint",
    "logger",
    "param_scheduler",
    "runtime_info",
    "sampler_seed",
    "timer",
}
_OUR_HOOKS = {"bad_samples", "observed", "params", "progress", "stop", "streams"}
_HOOKS = MMENGINE_HOOKS | _OUR_HOOKS
# a second one beside the default hook would do its work twice
_ONCE = {"IterTimerHook", "ParamSchedulerHook", "RuntimeInfoHook"}


class Kind(NamedTuple):
    """Parts of one kind: where their classes are, and what a builder adds or takes.

    Attributes:
        registry: of the classes. given: arguments that the builder passes.
        taken: keys that the builder reads itself. default: type where none is named.
    """

    registry: Registry
    given: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()
    default: str | None = None


def _kind(
    registry: Registry, given: str = "", taken: str = "", default: str | None = None
) -> Kind:
    return Kind(registry, frozenset(given.split()), frozenset(taken.split()), default)


_MODEL, _METRIC = _kind(ours.MODELS), _kind(ours.METRICS, "dataset_meta")
_HOOK = _kind(ours.HOOKS, taken="priority")
_LOOP = "runner dataloader evaluator"
_TOP = {
    "custom_hooks": _HOOK,
    "data_preprocessor": _MODEL,
    "log_processor": _kind(ours.LOG_PROCESSORS, default="LogProcessor"),
    "model": _MODEL,
    "optim_wrapper": _kind(
        ours.OPTIM_WRAPPERS, "optimizer", "constructor paramwise_cfg", "OptimWrapper"
    ),
    "param_scheduler": _kind(
        ours.PARAM_SCHEDULERS,
        "optimizer param_name",
        "convert_to_iter_based epoch_length",
    ),
    "test_cfg": _kind(ours.LOOPS, _LOOP, default="TestLoop"),
    "test_evaluator": _METRIC,
    "train_cfg": _kind(ours.LOOPS, _LOOP, "by_epoch"),
    "val_cfg": _kind(ours.LOOPS, _LOOP, default="ValLoop"),
    "val_evaluator": _METRIC,
    "visualizer": _kind(ours.VISUALIZERS, "name save_dir"),
}
_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_LOADER_KEYS = {"num_batch_per_epoch", "disable_subprocess_warning"}
_TRANSFORM, _DATASET = _kind(ours.TRANSFORMS), _kind(ours.DATASETS)
# arguments, of whatever part, that hold parts
_NESTED = {
    "auxiliary": _MODEL,
    "backbone": _MODEL,
    "batch_mix": _MODEL,
    "batch_sampler": _kind(ours.DATA_SAMPLERS, "sampler batch_size dataset seed"),
    "collate_fn": _kind(ours.FUNCTION, "batch data_batch"),
    "data_preprocessor": _MODEL,
    "dataset": _DATASET,
    "datasets": _DATASET,
    "encoder": _MODEL,
    "encoders": _MODEL,
    "heads": _MODEL,
    "init_cfg": _kind(ours.WEIGHT_INITIALIZERS, taken="override"),
    "loss": _MODEL,
    "losses": _MODEL,
    "metrics": _METRIC,
    "mix": _kind(ours.MODELS, "embed_dims num_streams"),
    "neck": _MODEL,
    "optimizer": _kind(ours.OPTIMIZERS, "params"),
    "pipeline": _TRANSFORM,
    "sampler": _kind(ours.DATA_SAMPLERS, "dataset seed"),
    "stand_ins": _kind(ours.MODELS, "embed_dims"),
    "teacher": _MODEL,
    "transforms": _TRANSFORM,
    "tuning": _MODEL,
    "vis_backends": _kind(ours.VISBACKENDS, "save_dir"),
    "worker_init_fn": _kind(ours.FUNCTION, "worker_id num_workers rank seed"),
}
_BY_NAME = ("auxiliary", "encoders", "heads", "losses")  # a part for each name in them
# MMEngine's and MMAction2's builders add to these what they know
_COMPLETED = re.compile(r"(?!init_cfg)\w+_cfg")

_MMENGINES = "DefaultOptimWrapperConstructor"
_DEFAULT_CONSTRUCTOR = {
    "bias_decay_mult",
    "bias_lr_mult",
    "bypass_duplicate",
    "custom_keys",
    "dcn_offset_lr_mult",
    "dwconv_decay_mult",
    "flat_decay_mult",
    "norm_decay_mult",
}


def check_parts(config: Mapping[str, Any]) -> None:
    """Compare all parts and sections of a config with what reads them.

    Args:
        config: plain dicts and lists, the classes as they are or by name.

    Raises:
        ConfigError: the key path of the first fault, and what is known there.
    """
    checker = _Checker(config.get("default_scope"))
    for key, value in config.items():
        check_plain(key, value)
        if value is None:
            continue
        if key in _TOP:
            checker.parts(value, key, _TOP[key])
        elif key in _LOADERS:
            checker.loader(value, key)
        elif key == "model_wrapper_cfg":
            kind = _kind(ours.MODEL_WRAPPERS, "module", default=_WRAPPER)
            checker.parts(value, key, kind)
    check_sections(config)
    _check_optimizer(config.get("optim_wrapper"))
    _check_hooks(checker, config.get("default_hooks"), config.get("custom_hooks"))
    if config.get("data_preprocessor") and at(config, "model.data_preprocessor"):
        raise ConfigError(
            "config key data_preprocessor: not read, as model.data_preprocessor is set;"
            " keep one of the two"
        )


_WRAPPER = "MMDistributedDataParallel"


class _Checker:
    """Walks over parts; ``scope`` is where bare names are looked for after ours."""

    def __init__(self, scope: Any) -> None:
        self.scope = scope

    def parts(self, value: Any, path: str, kind: Kind) -> None:
        """A part, or several in a list, or in a dict by name."""
        if isinstance(value, list | tuple):
            for index, item in enumerate(value):
                self.parts(item, f"{path}.{index}", kind)
        elif not isinstance(value, dict):
            if isinstance(value, str | int | float):
                raise ConfigError(
                    f"config key {path}: got {value!r}, expected a dict with 'type'"
                )
        elif path.rpartition(".")[2] in _BY_NAME or _is_group(value, path):
            for name, item in value.items():
                self.parts(item, f"{path}.{name}", kind)
        else:
            self.part(value, path, kind)

    def part(self, node: dict, path: str, kind: Kind) -> None:
        """One part: its class, its arguments, and the parts within it."""
        name = node.get("type", kind.default)
        if path.endswith("evaluator") and name is None and "metrics" in node:
            name, kind = "Evaluator", _kind(ours.EVALUATOR)
        if name is None and "by_epoch" in node and path == "train_cfg":
            name = "ResumableTrainLoop" if node["by_epoch"] else "IterBasedTrainLoop"
        if name is None:
            raise ConfigError(
                f"config key {path}: it lacks 'type', got {node}"
                f"{nearest('type', map(str, node))}"
            )
        found = self.found(name, path, kind)
        if found is not None:
            arguments = {key: x for key, x in node.items() if key not in _OWN}
            for key in kind.taken & arguments.keys():
                value, hint = arguments.pop(key), _TAKEN.get(key, Any)
                if not fits(value, hint):
                    raise wrong_value(f"{path}.{key}", value, hint)
            given = kind.given if "optimizer" not in node else kind.given - _OPTIMIZER
            check_arguments(found, arguments, path, given, kind.taken)
            if getattr(found, "__module__", "").partition(".")[0] in _STRICT:
                for key in _NESTED.keys() & arguments.keys():
                    if isinstance(arguments[key], str | int | float):
                        self.parts(arguments[key], f"{path}.{key}", kind)
        for key, value in node.items():
            self.within(value, f"{path}.{key}", key, kind)

    def within(self, value: Any, path: str, key: str, parent: Kind) -> None:
        """Parts within an argument, of the kind that its name tells, or of any."""
        if key in ("paramwise_cfg", "override") or value is None:
            return
        if key in _NESTED and isinstance(value, dict | list | tuple):
            self.parts(value, path, _NESTED[key])
        elif not _COMPLETED.fullmatch(str(key)):
            self.search(value, path, Kind(parent.registry))

    def search(self, value: Any, path: str, kind: Kind) -> None:
        """Parts somewhere within a value; what built it may add arguments to them."""
        if isinstance(value, dict) and "type" in value:
            found = self.found(value["type"], path, kind)
            names = {key: x for key, x in value.items() if key not in _OWN}
            if found is not None:
                check_names(found, names, path)
        if isinstance(value, dict):
            for key, item in value.items():
                check_count(f"{path}.{key}", str(key), item)
                self.within(item, f"{path}.{key}", key, kind)
        elif isinstance(value, list | tuple):
            for index, item in enumerate(value):
                self.search(item, f"{path}.{index}", kind)

    def loader(self, node: Any, path: str) -> None:
        """A dataloader, which has no type."""
        if not isinstance(node, dict):
            if isinstance(node, DataLoader):
                return
            raise ConfigError(f"config key {path}: got {node!r}, expected a dict")
        known = parameters_of(DataLoader)[0]
        for key, value in node.items():
            if key not in known.keys() | _NESTED.keys() | _LOADER_KEYS:
                names = known.keys() | _LOADER_KEYS
                raise unknown(f"{path}.{key}", "DataLoader", key, names)
            check_value(DataLoader, f"{path}.{key}", key, value, known.get(key))
            if key in _NESTED and value is not None and not callable(value):
                self.parts(value, f"{path}.{key}", _NESTED[key])
        for key in ("dataset", "sampler"):
            if key not in node:
                raise ConfigError(
                    f"config key {path}: it lacks {key!r}{nearest(key, node)}"
                )

    def found(self, name: Any, path: str, kind: Kind) -> Callable | None:
        """The class or function of a type; None where it cannot be looked into."""
        if not isinstance(name, str):
            if not callable(name):
                raise ConfigError(
                    f"config key {path}.type: got {name!r}, expected a class or its"
                    " name"
                )
            return name
        for asked in (name, f"{self.scope}.{name}" if self.scope else name):
            found = _get(kind.registry, asked)
            if found is not None:
                return found
        raise ConfigError(
            f"config key {path}.type: no {kind.registry.name} named {name!r}"
            f"{nearest(name.rpartition('.')[2], _names(kind.registry))}"
        )


_TAKEN = {
    "by_epoch": bool,
    "convert_to_iter_based": bool,
    "epoch_length": int,
    "paramwise_cfg": dict | None,
    "priority": int | str,
}
_STRICT = ("mmengine", "mmfusion")  # where such arguments hold nothing but parts
_OWN = ("type", "_scope_", "_delete_")
_OPTIMIZER = frozenset({"optimizer"})


def _is_group(value: dict, path: str) -> bool:
    """True for schedulers of several optimizers by their names."""
    return path == "param_scheduler" and all(
        isinstance(item, list) for item in value.values()
    )


def _check_optimizer(wrapper: Any) -> None:
    """Keys of clip_grad, and of MMEngine's own constructor, which ignores others."""
    if not isinstance(wrapper, dict):
        return
    clip = wrapper.get("clip_grad")
    if isinstance(clip, dict):
        name = str(clip.get("type", "norm"))
        functions: dict[str, Callable] = {
            "norm": torch.nn.utils.clip_grad_norm_,
            "value": torch.nn.utils.clip_grad_value_,
        }
        if name not in functions:
            raise ConfigError(
                f"config key optim_wrapper.clip_grad.type: got {name!r}, expected"
                " 'norm' or 'value'"
            )
        arguments = {key: value for key, value in clip.items() if key != "type"}
        check_arguments(
            functions[name],
            arguments,
            "optim_wrapper.clip_grad",
            frozenset({"parameters"}),
        )
        for key in ("max_norm", "clip_value"):
            if clip.get(key, 1) <= 0:
                raise ConfigError(
                    f"config key optim_wrapper.clip_grad.{key}: got {clip[key]},"
                    " expected a number above 0"
                )
    _check_constructor(wrapper)


def _check_constructor(wrapper: dict) -> None:
    """Settings of the groups of parameters, as far as they need no model."""
    name = wrapper.get("constructor", _MMENGINES)
    kind = ours.OPTIM_WRAPPER_CONSTRUCTORS
    found = _get(kind, name) if isinstance(name, str) else name
    if found is None:
        raise ConfigError(
            f"config key optim_wrapper.constructor: no {kind.name} named {name!r}"
            f"{nearest(name, _names(kind))}"
        )
    paramwise = wrapper.get("paramwise_cfg") or {}
    grouped = class_name(found) == "GroupedOptimWrapperConstructor"
    one = grouped or class_name(found) == _MMENGINES
    if one and not isinstance(wrapper.get("optimizer"), dict):
        raise ConfigError(
            "config key optim_wrapper: it lacks 'optimizer', a dict with 'type'"
            f"{nearest('optimizer', wrapper)}"
        )
    if grouped:
        found(wrapper, paramwise)  # checks its keys
    elif one:
        for key in set(paramwise) - _DEFAULT_CONSTRUCTOR:
            path = f"optim_wrapper.paramwise_cfg.{key}"
            raise unknown(path, _MMENGINES, key, _DEFAULT_CONSTRUCTOR)


def _check_hooks(checker: _Checker, default: Any, custom: Any) -> None:
    """Names of the default hooks: MMEngine adds its own beside one of another name."""
    if default is not None and not isinstance(default, dict):
        raise ConfigError(f"config key default_hooks: got {default!r}, expected a dict")
    hooks = default or {}
    for key, value in hooks.items():
        close = difflib.get_close_matches(key, _HOOKS, n=1, cutoff=0.7)
        if key not in _HOOKS and close:
            raise ConfigError(
                f"config key default_hooks.{key}: no default hook has this name"
                f"; nearest: {close[0]} (MMEngine would add its own beside it; a hook"
                " of your own needs a name that is not so close)"
            )
        if value is not None:
            checker.parts(value, f"default_hooks.{key}", _HOOK)
    defaults = {"timer", "runtime_info", "param_scheduler"} - hooks.keys()
    names = ["".join(p.title() for p in key.split("_")) + "Hook" for key in defaults]
    names = ["IterTimerHook" if name == "TimerHook" else name for name in names]
    given = [*hooks.values(), *(custom if isinstance(custom, list | tuple) else [])]
    names += [class_name(hook.get("type")) for hook in given if isinstance(hook, dict)]
    for name in _ONCE:
        if names.count(name) > 1:
            raise ConfigError(
                f"config has {name} {names.count(name)} times in default_hooks and"
                " custom_hooks (MMEngine adds it where default_hooks has none): its"
                " work would be done twice; keep one"
            )


def _get(registry: Registry, name: str) -> Any:
    """The class of that name; None where there is none, or its module is broken."""
    try:
        return registry.get(name)
    except (RuntimeError, ImportError, KeyError):
        return None


def _names(registry: Registry) -> set[str]:
    """Names in a registry and in those above it."""
    names: set[str] = set()
    node: Registry | None = registry
    while node is not None:
        names |= set(node.module_dict)
        node = node.parent
    return names
