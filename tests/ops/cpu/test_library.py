"""Processes, threads and instruction sets around the loaded kernels."""

import os
import signal
import subprocess
import sys
import time
import warnings

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmfusion.ops import causal_conv1d, selective_scan
from mmfusion.ops.cpu import build, library

pytestmark = pytest.mark.skipif(
    library.missing_reason() is not None,
    reason=f"no cpu backend: {library.missing_reason()}",
)

LIMIT = 120  # seconds, after which a process counts as hanging; no right one waits

# a fresh process: nothing is built before the first call, and the variable is obeyed
FIRST_USE = """
import torch
from mmfusion.ops import selective_scan
from mmfusion.ops.cpu import backend, library
assert library._library is None and library._reason is None
u, A, B = torch.ones(1, 3, 2), -torch.ones(2, 1), torch.ones(1, 3, 1)
selective_scan(u, u, A, B, B, backend="cpu")
print(library.instruction_set(), torch.get_num_threads())
"""
PLACES = {torch.float32: 5, torch.bfloat16: 1.5, torch.float16: 2.5}


def inputs() -> list[torch.Tensor]:
    """Enough tokens and channels that two threads share the work."""
    torch.manual_seed(0)
    u, delta = torch.randn(2, 300, 64), torch.rand(2, 300, 64)
    A, B, C = -torch.rand(64, 4), torch.randn(2, 300, 4), torch.randn(2, 300, 4)
    return [u, delta, A, B, C]


@pytest.fixture
def expected() -> torch.Tensor:
    """The right result, from a parent whose pool of threads has been at work."""
    torch.set_num_threads(2)
    yield selective_scan(*inputs(), backend="cpu")
    torch.set_num_threads(1)


def test_a_fork_computes_and_does_not_hang(expected):
    arguments = inputs()
    with warnings.catch_warnings():  # 3.12 warns of any fork with threads
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        y = selective_scan(*arguments, backend="cpu")
        # not torch.equal, which waits for the lost threads itself
        same = y.numpy().tobytes() == expected.numpy().tobytes()
        os._exit(0 if same and library.num_threads() == 1 else 1)
    deadline = time.monotonic() + LIMIT
    done, status = os.waitpid(child, os.WNOHANG)
    while not done and time.monotonic() < deadline:
        time.sleep(0.01)
        done, status = os.waitpid(child, os.WNOHANG)
    if not done:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert [bool(done), status] == [True, 0]
    assert library.num_threads() == 2  # the parent keeps its own


class Scans(Dataset):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> torch.Tensor:
        return selective_scan(*inputs(), backend="cpu")


def test_a_data_loader_worker_computes(expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        loader = DataLoader(
            Scans(), 2, num_workers=1, multiprocessing_context="fork", timeout=LIMIT
        )
        (batch,) = list(loader)
    assert torch.equal(batch, torch.stack([expected, expected]))


def test_kernels_take_pytorchs_number_of_threads(expected):
    assert library.num_threads() == 2
    torch.set_num_threads(1)
    assert library.num_threads() == 1
    assert torch.equal(selective_scan(*inputs(), backend="cpu"), expected)


@pytest.mark.slow
@pytest.mark.parametrize("isa", build.supported_isas())
@pytest.mark.parametrize("dtype", PLACES, ids=str)
def test_every_instruction_set_is_right(isa, dtype):
    """Scan, convolution and their gradients."""
    torch.manual_seed(0)
    u, delta, B, C = (torch.randn(2, 70, x).to(dtype) for x in (37, 37, 5, 5))
    A, weight = -torch.rand(37, 5), torch.randn(37, 4)
    results = []
    with library.forced_instruction_set(isa):
        assert library.instruction_set() == isa
        for backend in ("cpu", "reference"):
            leaves = [x.clone().requires_grad_() for x in (u, delta, A, B, C)]
            x = causal_conv1d(leaves[0], weight, None, "silu", backend=backend)
            y = selective_scan(x, *leaves[1:], delta_softplus=True, backend=backend)
            results.append([y, *torch.autograd.grad(y.float().sum(), leaves)])
    for value, truth in zip(*results, strict=True):
        error = (value.float() - truth.float()).abs().max()
        assert error < 10 ** -PLACES[dtype] * truth.float().abs().max()


@pytest.mark.slow
def test_an_import_neither_builds_nor_loads_and_the_variable_is_obeyed():
    isa = build.supported_isas()[-1]
    environment = {**os.environ, build.ISA_VARIABLE: isa, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", FIRST_USE]
    output = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert output.stdout.split()[-2:] == [isa, "1"], output.stderr


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(library, "_library", None)
    monkeypatch.setattr(library, "_reason", "no C++ compiler: ...")
    with pytest.raises(RuntimeError, match="not available: no C.. compiler"):
        library.call("mmf_scan_forward", library.ScanArguments())


def test_an_error_code_is_an_error():
    with pytest.raises(RuntimeError, match="mmf_scan_forward failed: a size, dtype"):
        library.call("mmf_scan_forward", library.ScanArguments())


def test_another_interface_is_refused(monkeypatch):
    monkeypatch.setattr(library, "_library", None)
    monkeypatch.setattr(library, "_reason", None)
    monkeypatch.setattr(library, "ABI", -1)
    assert "expected -1" in library.missing_reason()
