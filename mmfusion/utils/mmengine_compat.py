"""The one place that mends MMEngine 0.10.7, so that it finds our configs and types.

And so that it starts without what it does not need. Each mend waits until the module
that it is for is imported:

- ``Config.fromfile`` looks up the package of an absolute base by ``pkg_resources``,
  which setuptools 82 removed and which knows no editable install. And each text of a
  config is laid out by yapf, half a second a time, although it has its line breaks.
- A type named by a bare string is looked for in MMEngine alone where no default scope
  is set: its own lenient ``Pretrained`` would then load our weights.
- Its optimizers import transformers for one class, and with it peft, where these are
  installed: 2.5 and 6 s of CPU in every command.
- It imports PyTorch's FSDP and its optimizers for several processes, and with these
  sympy and a part of the compiler, a second in every command, for a wrapper and an
  optimizer that no run of ours can save. And setuptools, to name the C compiler.
- Its visualizer makes an empty figure of matplotlib, also where only numbers are
  written.
- ``init_weights`` lists every parameter: hundreds of lines on the console of a
  notebook, where no log file takes them.
"""

import importlib.util
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

from mmfusion.utils.errors import InputError


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


def _as_it_is(text: str, *_: Any, **__: Any) -> tuple[str, bool]:
    return text, False


def _yapf() -> dict[str, ModuleType]:
    """Stand-ins of yapf's three modules that MMEngine imports."""
    names = ("yapf", "yapf.yapflib", "yapf.yapflib.yapf_api")
    found = {name: ModuleType(name) for name in names}
    vars(found["yapf"]).update(__path__=[], __version__="0.40.2")
    vars(found["yapf.yapflib"])["__path__"] = []
    vars(found["yapf.yapflib.yapf_api"])["FormatCode"] = _as_it_is
    return found


def _find_packages(module: Any) -> None:
    module.get_installed_path, module.FormatCode = package_folder, _as_it_is


def _take_our_scope(module: Any) -> None:
    """A default scope that was set before stays, as does every later one."""
    if module.DefaultScope.get_current_instance() is None:
        module.DefaultScope.get_instance("mmfusion", scope_name="mmfusion")


class _NoFigure:
    """In place of a figure, until there is an image to draw on."""

    @staticmethod
    def get_dpi() -> float:
        return 100.0  # is not read before there is one


def _draw_late(module: Any) -> None:
    kind = module.Visualizer
    make_figure, set_image = kind._initialize_fig, kind.set_image

    def set_first_image(self: Any, image: Any) -> None:
        if isinstance(self.fig_save, _NoFigure):
            made = make_figure(self, self.fig_save_cfg)
            self.fig_save_canvas, self.fig_save, self.ax_save = made
            self.dpi = self.fig_save.get_dpi()
        set_image(self, image)

    kind._initialize_fig = lambda self, fig_cfg: (None, _NoFigure(), None)
    kind.set_image = set_first_image


def _name_compiler_alone(module: Any) -> None:
    collect = module.collect_env
    distutils = ModuleType("distutils")
    vars(distutils)["errors"] = SimpleNamespace(CCompilerError=OSError)

    def collect_env() -> dict[str, Any]:
        with _standing_in({"distutils": distutils}):
            return collect()

    module.collect_env = collect_env


def _refuse_unless_real(module: Any) -> None:
    kind = module.ZeroRedundancyOptimizer
    if module._ZeroRedundancyOptimizer is object:
        kind.__init__ = _refused(kind.__name__, "torch.distributed.optim")


def _refused(name: str, needs: str) -> Callable[..., None]:
    def refuse(self: object, *_: object, **__: object) -> None:
        raise InputError(
            f"{name} is left out, as FusionRunner cannot save what it splits; to use it"
            f" without, import {needs} before mmfusion"
        )

    return refuse


def _no_change(module: Any) -> None:
    pass


class _Mend(NamedTuple):
    """Modules that one finds in place of others, and what is changed in it then."""

    stand_ins: Callable[[], Mapping[str, ModuleType | None]] = dict
    change: Callable[[Any], None] = _no_change


# FSDPStrategy is then left out, as MMEngine does with an older PyTorch; transformers'
# ``Adafactor`` is not known by its name, and a config in Python can import it itself
_WRAPPER, _NEEDS = "MMFullyShardedDataParallel", "torch.distributed.fsdp"
_MENDS = {
    "mmengine.config.config": _Mend(_yapf, _find_packages),
    "mmengine.registry.default_scope": _Mend(change=_take_our_scope),
    "mmengine.optim.optimizer.builder": _Mend(lambda: {"transformers": None}),
    "mmengine.optim.optimizer.zero_optimizer": _Mend(
        lambda: {"torch.distributed.optim": None}, _refuse_unless_real
    ),
    "mmengine.utils.dl_utils.collect_env": _Mend(change=_name_compiler_alone),
    "mmengine._strategy.fsdp": _Mend(lambda: {_NEEDS: None}),
    "mmengine.visualization.visualizer": _Mend(change=_draw_late),
}
_FSDP = "mmengine.model.wrappers.fully_sharded_distributed"


def mend_mmengine() -> None:
    """Mend the modules of MMEngine, those to come when they are imported."""
    if any(finder is Mends for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, Mends)
    for name, mend in _MENDS.items():
        if name in sys.modules:
            mend.change(sys.modules[name])


class Mends:
    """Finder of the modules that are mended, or replaced, as they are imported."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        """The usual spec with a loader of ours; None of any other module."""
        if name not in _MENDS and name != _FSDP:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.origin is not None:
            spec.loader = (_Replaced if name == _FSDP else _Mended)(name, spec.origin)
        return spec


class _Mended(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        mend = _MENDS[module.__name__]
        with _standing_in(mend.stand_ins()):
            super().exec_module(module)
        mend.change(module)


class _Replaced(SourceFileLoader):
    """The wrapper for FSDP, as a name alone, unless FSDP is imported already."""

    def exec_module(self, module: ModuleType) -> None:
        if _NEEDS in sys.modules:
            super().exec_module(module)
        else:
            body = {"__doc__": "Stand-in.", "__init__": _refused(_WRAPPER, _NEEDS)}
            vars(module)[_WRAPPER] = type(_WRAPPER, (), body)


@contextmanager
def _standing_in(modules: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """Let others be imported in place of modules, unless these are there already."""
    absent = {name: it for name, it in modules.items() if name not in sys.modules}
    sys.modules.update(absent)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


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
