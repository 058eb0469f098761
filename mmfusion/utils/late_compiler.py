"""PyTorch's compiler, imported only where something is compiled.

Every optimizer of PyTorch imports ``torch._dynamo`` (a second, 265 modules) to say that
it must not be traced, also in a process that traces nothing.
"""

import importlib
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

_NAME = "torch._dynamo"


class LateCompiler(ModuleType):
    """In place of ``torch._dynamo`` until more is asked of it than eager code asks."""

    def __init__(self) -> None:
        super().__init__(_NAME, __doc__)
        self._lock = threading.RLock()
        self._disabled: list[Any] = []

    @staticmethod
    def graph_break(*_: object, **__: object) -> None:
        """Nothing, as outside of a trace."""

    def disable(
        self, fn: Callable | None = None, *args: Any, **options: Any
    ) -> Callable:
        """``fn`` as it is, for PyTorch's own calls, which can be taken back."""
        if fn is None or options != {"wrapping": False}:
            return self._compiler().disable(fn, *args, **options)
        self._disabled.append(fn)
        return fn

    def __getattr__(self, name: str) -> Any:
        """Import the compiler now, for what it has of this name."""
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)  # somebody looks at all modules
        return getattr(self._compiler(), name)

    def _compiler(self) -> Any:
        with self._lock:
            if sys.modules.get(_NAME) is self:
                del sys.modules[_NAME], torch._dynamo
                for fn in self._disabled:  # PyTorch asks again, and gets it disabled
                    vars(fn).pop("__dynamo_disable", None)
            return importlib.import_module(_NAME)


def import_compiler_late() -> None:
    """Let optimizers work without the compiler, unless it is imported already."""
    if _NAME not in sys.modules:
        sys.modules[_NAME] = torch._dynamo = LateCompiler()  # type: ignore[assignment]
