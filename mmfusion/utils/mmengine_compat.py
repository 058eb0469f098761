"""The one place that mends MMEngine 0.10.7, so that it finds our configs and types.

``Config.fromfile`` looks up the package of an absolute base by ``pkg_resources``, which
setuptools 82 removed and which knows no editable install. And a type named by a bare
string is looked for in MMEngine alone where no default scope is set: its own lenient
``Pretrained`` would then load our weights. And ``init_weights`` lists every parameter:
hundreds of lines on the console of a notebook, where no log file takes them. And its
optimizers import transformers for one class, and with it peft, where these are
installed: 2.5 and 6 s of CPU in every command.
"""

import importlib.util
import logging
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from mmengine.config import config
from mmengine.registry import DefaultScope

_OPTIMIZERS = "mmengine.optim.optimizer.builder"


def mend_mmengine() -> None:
    """Let MMEngine ask importlib for packages, and mmfusion for types by default.

    And leave transformers alone until it is asked for.

    A default scope that was set before stays, as does every later one.
    """
    config.get_installed_path = package_folder
    if not any(finder is OptimizersAlone for finder in sys.meta_path):
        sys.meta_path.insert(0, OptimizersAlone)
    if DefaultScope.get_current_instance() is None:
        DefaultScope.get_instance("mmfusion", scope_name="mmfusion")


def package_folder(package: str) -> str:
    """Folder of a package, in which the dotted path of a base goes on.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"a base is in package {package!r}, which is not installed"
        )
    return str(Path(spec.origin).parent)


class OptimizersAlone:
    """Finder that imports MMEngine's optimizers without transformers.

    Unless it is imported already. ``type='Adafactor'`` is then not known by its name;
    ``TorchAdafactor`` is, and a config in Python can import transformers' class itself.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        """The usual spec of MMEngine's optimizers; None of any other module."""
        if name != _OPTIMIZERS:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.origin is not None:
            spec.loader = _Alone(name, spec.origin)
        return spec


class _Alone(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        hidden = "transformers" not in sys.modules
        if hidden:
            sys.modules["transformers"] = None  # type: ignore[assignment]
        try:
            super().exec_module(module)
        finally:
            if hidden:
                del sys.modules["transformers"]


def keep_init_weights_quiet() -> None:
    """Let ``BaseModule.init_weights`` list parameters in a log file or not at all."""
    from mmengine.logging import MMLogger
    from mmengine.model import BaseModule

    listing = BaseModule._dump_init_info

    def list_in_a_file(module: BaseModule) -> None:
        handlers = MMLogger.get_current_instance().handlers
        if any(isinstance(handler, logging.FileHandler) for handler in handlers):
            listing(module)

    BaseModule._dump_init_info = list_in_a_file
