"""Say which key of a config made building fail."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry

from mmfusion.engine.launch.config_check import nearest, walk


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
                close = nearest(name, _registered(registry))
                return f"config key {path}.type: no {registry} named {name!r}{close}"
    elif untyped:
        for path, node in nodes:
            if isinstance(node, dict) and f"but got {node}\n" in text:
                return f"config key {path}: it lacks 'type', got {node}"
    return None


def _arguments_hint(kind: Any, wrong: str) -> str:
    """Arguments that a registered class takes instead; '' for anything else."""
    name = str(kind).rpartition(".")[2]
    for registry in _registries():
        if inspect.isclass(found := registry.module_dict.get(name)):
            names = list(inspect.signature(found).parameters)
            return nearest(wrong, names) or f"; it has {', '.join(names)}"
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
