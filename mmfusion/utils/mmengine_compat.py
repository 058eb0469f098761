"""The one place that mends MMEngine 0.10.7, so that it finds our configs and types.

``Config.fromfile`` looks up the package of an absolute base by ``pkg_resources``, which
setuptools 82 removed and which knows no editable install. And a type named by a bare
string is looked for in MMEngine alone where no default scope is set: its own lenient
``Pretrained`` would then load our weights. And ``init_weights`` lists every parameter:
hundreds of lines on the console of a notebook, where no log file takes them.
"""

import importlib.util
import logging
from pathlib import Path

from mmengine.config import config
from mmengine.registry import DefaultScope


def mend_mmengine() -> None:
    """Let MMEngine ask importlib for packages, and mmfusion for types by default.

    A default scope that was set before stays, as does every later one.
    """
    config.get_installed_path = package_folder
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
