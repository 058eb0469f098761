"""Parts of a config as data: dicts, lists and numbers, each class by its name.

A Python config runs when it is read. What a checkpoint or an exported model says about
itself must not: there a ``type`` is a name of a registry (``VideoMamba``,
``mmaction.Resize``), and a name that no registry has is refused. MMEngine's registries
would import such a name, whatever it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope, Registry
from mmengine.utils import get_object_from_string

from mmfusion import registry as ours
from mmfusion.engine.launch.config_check import walk
from mmfusion.engine.launch.config_parts import check_parts
from mmfusion.utils.errors import ConfigError, MMFusionError

_PLAIN = (str, int, float, bool, type(None))
_OF_MODELS = (ours.MODELS, ours.TASK_UTILS)
_OF_TRANSFORMS = (ours.TRANSFORMS,)


def model_data(model: Any) -> dict[str, Any]:
    """The config of a model as data, without where its weights once came from.

    What serves its training alone is left out, too.
    """
    return as_data(without_training(model), _OF_MODELS)


def without_training(model: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a model without the parts that a test has no use for."""
    return {key: value for key, value in model.items() if key != "auxiliary"}


def pipeline_data(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The test pipeline of a config as data, else that of validation; [] for none."""
    for key in ("test_dataloader", "val_dataloader"):
        part = (config.get(key) or {}).get("dataset")
        while isinstance(part, Mapping):
            if part.get("pipeline") is not None:
                return as_data(part["pipeline"], _OF_TRANSFORMS)
            part = part.get("dataset")  # of a wrapper
    return []


def as_data(value: Any, registries: Sequence[Registry]) -> Any:
    """``value`` in dicts, lists, tuples, text, numbers and None.

    A class becomes its name in the first of the registries that has it. One that none
    has, and whatever else is not plain, becomes its dotted name, which
    :func:`check_data` refuses: a run need not be one that can be exported.
    """
    if isinstance(value, Config):
        value = value._cfg_dict
    if isinstance(value, ConfigDict):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {
            str(key): (
                _type_name(item, registries)
                if key == "type"
                else as_data(item, registries)
            )
            for key, item in value.items()
            if key != "init_cfg"
        }
    if isinstance(value, list | tuple):
        items = [as_data(item, registries) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, _PLAIN):
        return value
    if hasattr(value, "tolist"):  # of NumPy
        return value.tolist()
    return {"type": _dotted(value)}


def _type_name(value: Any, registries: Sequence[Registry]) -> str:
    """A class, or the name that a config has for it, as its registry names it."""
    if isinstance(value, str):
        if any(registered(name, value) for name in registries) or "." not in value:
            return value
        try:  # what MMEngine makes of a class in a pure-Python config
            value = get_object_from_string(value)
        except (ImportError, AttributeError, ValueError):
            return value
    for registry in registries:
        for node in _with_parents(registry):
            for name, known in _modules(node).items():
                if known is value:
                    return name if node.scope == "mmfusion" else f"{node.scope}.{name}"
    return _dotted(value)


def _dotted(value: Any) -> str:
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def registered(registry: Registry, name: str) -> Any:
    """Class that a registry or one above it has under ``name``; None for nothing.

    Args:
        registry: where the search begins. name: with a scope (``mmaction.Resize``) or
            without. Nothing is imported by that name, and no registry's modules where
            the scope is another: MMAction2's transforms alone take a second.
    """
    scope, _, key = name.rpartition(".")
    for node in _with_parents(registry):
        if scope in ("", node.scope) and key in _modules(node):
            return node.module_dict[key]
    return None


def _with_parents(registry: Registry | None) -> Iterator[Registry]:
    while registry is not None:
        yield registry
        registry = registry.parent


def _modules(registry: Registry) -> dict[str, Any]:
    """Classes of a registry by name, its own modules imported."""
    registry.import_from_location()
    return registry.module_dict


def check_model_data(model: Any, where: str) -> None:
    """Raise ConfigError unless every part of a model is known here.

    Args:
        model: data of a stranger. where: its file, for the error.
    """
    if not isinstance(model, dict) or "type" not in model:
        raise ConfigError(
            f"{where}: model is {str(model):.80}; expected a dict with its type"
        )
    _check(model, where, "model", _OF_MODELS, "models")


def check_pipeline_data(pipeline: Any, where: str) -> None:
    """Raise ConfigError unless every transform of a pipeline is known here."""
    if not isinstance(pipeline, list) or not all(
        isinstance(transform, dict) and "type" in transform for transform in pipeline
    ):
        raise ConfigError(
            f"{where}: pipeline is {str(pipeline):.80}; expected a list of transforms,"
            " each with its type"
        )
    _check(pipeline, where, "pipeline", _OF_TRANSFORMS, "transforms")


def _check(
    data: Any, where: str, path: str, registries: Sequence[Registry], what: str
) -> None:
    for key, value in walk(data, path):
        last = key.rpartition(".")[2]
        if last == "_scope_":
            raise ConfigError(f"{where}: {key} is not allowed; expected full names")
        if last != "type":
            continue
        if not isinstance(value, str) or not any(
            registered(registry, value) for registry in registries
        ):
            raise ConfigError(
                f"{where}: {key} is {str(value)!r:.120}, which the registry of {what}"
                " does not have: nothing is imported by a name in a file; a part of"
                " your own must be registered, and imported before it is loaded"
            )


def build_model(model: dict[str, Any], where: str) -> Any:
    """Build a model of data, in evaluation mode; no weights are looked for.

    Args:
        model: data of a stranger. where: its file, for the error.

    Raises:
        ConfigError: a type that no registry has, a wrong argument, or parts that do
            not go together.
    """
    check_model_data(model, where)
    with DefaultScope.overwrite_default_scope("mmfusion"):
        try:
            check_parts({"model": model})
            return ours.MODELS.build(model).eval()
        except MMFusionError as error:
            raise ConfigError(f"{where}: {error}") from error
        except Exception as error:
            raise ConfigError(
                f"{where}: the model cannot be built: {type(error).__name__}: {error}"
            ) from error
