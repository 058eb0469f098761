"""PyTorch's compiler, imported late."""

import sys

import torch

from mmfusion.utils import late_compiler
from mmfusion.utils.late_compiler import import_compiler_late


def test_what_was_left_alone_is_told_to_the_compiler_when_it_comes(monkeypatch):
    for place, name in ((sys.modules, "torch._dynamo"), (vars(torch), "_dynamo")):
        monkeypatch.setitem(place, name, None)  # is as it was after the test
    del sys.modules["torch._dynamo"]
    import_compiler_late()
    late = sys.modules["torch._dynamo"]
    import_compiler_late()
    assert sys.modules["torch._dynamo"] is late is torch._dynamo

    @torch._disable_dynamo
    def double(x):
        return 2 * x

    assert double(1) == 2 and hasattr(double.__wrapped__, "__dynamo_disable")
    late.graph_break()
    assert not hasattr(late, "__file__")  # as inspect asks every module

    class Compiler:
        config = "its own"

        @staticmethod
        def disable(fn, *args, **options):
            return lambda x: -fn(x)

    def load(name):
        sys.modules[name] = Compiler
        return Compiler

    monkeypatch.setattr(late_compiler.importlib, "import_module", load)
    assert late.config == "its own" and sys.modules["torch._dynamo"] is Compiler
    assert not hasattr(double.__wrapped__, "__dynamo_disable")
    assert late.disable(abs)(1) == -1
