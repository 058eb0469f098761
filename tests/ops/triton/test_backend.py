import importlib.util

import pytest
import torch

from mmfusion.ops.backends import ConvCall, ScanCall, ScanInputs
from mmfusion.ops.triton.backend import BACKEND


def make_call(states=3, dtype=torch.float32):
    tokens, rows = torch.zeros(1, 4, 2), torch.zeros(1, 4, states)
    A = torch.zeros(2, states)
    one = ScanInputs(tokens.to(dtype), tokens, A, rows, rows)
    return ScanCall((one,), (False,))


@pytest.fixture
def triton_is(monkeypatch):
    def set_to(installed: bool, interpreted: bool = False) -> None:
        found = importlib.util.find_spec("torch") if installed else None
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setenv("TRITON_INTERPRET", "1" if interpreted else "0")

    return set_to


def test_missing_names_the_command(triton_is):
    triton_is(installed=False)
    assert "pip install triton==3.8.0" in BACKEND.missing()


def test_missing_without_a_gpu_names_the_interpreter(triton_is):
    triton_is(installed=True)
    assert "TRITON_INTERPRET=1" in BACKEND.missing()


def test_interpreter_counts_as_available(triton_is):
    triton_is(installed=True, interpreted=True)
    assert BACKEND.missing() is None


@pytest.mark.parametrize(
    "call, reason",
    [
        (make_call(dtype=torch.float64), "float64"),
        (make_call(states=300), "at most 256"),
    ],
    ids=["float64", "states"],
)
def test_refuses(triton_is, call, reason):
    triton_is(installed=True, interpreted=True)
    assert reason in BACKEND.refuses(call)


def test_refuses_cpu_tensors(triton_is):
    triton_is(installed=True)
    assert "cpu" in BACKEND.refuses(make_call())
    x, weight = torch.zeros(1, 4, 2), torch.zeros(2, 4)
    assert "cpu" in BACKEND.refuses(ConvCall(x, weight, None, False, False))
