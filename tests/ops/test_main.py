import pytest
import torch

from mmfusion.ops import __main__ as tool
from mmfusion.ops import available_backends, backends
from mmfusion.ops.torch_scan import TorchBackend


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")


def test_table_says_what_runs_and_what_does_not(capsys, monkeypatch):
    monkeypatch.setitem(backends._reasons, "triton", "there is none; `pip install it`")
    assert tool.main([]) == 0
    printed = capsys.readouterr().out
    for name in backends.backend_names():
        assert name in printed
    assert "there is none; `pip install it`" in printed
    assert f"auto takes {available_backends()[0]} for tensors on cpu" in printed


def test_check_finds_every_backend_right(capsys, monkeypatch):
    monkeypatch.setenv("MMFUSION_SCAN_BACKEND", "torch")
    assert tool.main(["--check"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("equal on") == len(available_backends())
    assert "MMFUSION_SCAN_BACKEND=torch is set" in printed


def test_check_finds_a_wrong_backend(capsys, monkeypatch):
    class Wrong(TorchBackend):
        def scan(self, call):
            y, last = super().scan(call)
            return y * torch.tensor(1.001), last

    monkeypatch.setitem(backends._loaded, "torch", Wrong())
    assert tool.main(["--check"]) == 1
    assert "WRONG on cpu" in capsys.readouterr().out


def test_auto_prefers_triton_on_a_gpu(monkeypatch):
    """As measured on an H100; mamba-ssm's kernels where Triton is missing."""
    assert backends.order("cuda") == ("triton", "mamba_ssm", "torch")
    for name in ("triton", "mamba_ssm"):
        monkeypatch.setitem(backends._reasons, name, None)
        monkeypatch.setitem(backends._loaded, name, TorchBackend())
    cuda = torch.device("cuda")
    assert backends.candidates("auto", cuda)[0] is backends._loaded["triton"]
    monkeypatch.setitem(backends._reasons, "triton", "it is missing")
    assert backends.candidates("auto", cuda)[0] is backends._loaded["mamba_ssm"]
