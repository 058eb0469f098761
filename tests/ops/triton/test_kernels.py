"""Runs cases.py where Triton interprets its kernels on the CPU, or on a GPU.

Without a GPU the kernels are compiled as well, which the interpreter does not do.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
KERNELS = {
    "conv_backward", "conv_forward", "gate_gradient", "join_segments",
    "merge_directions", "scan_backward", "scan_forward", "segment_carries",
    "segment_ends",
}  # fmt: skip

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="triton is not installed (pip install triton==3.8.0)",
)


def run_python(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=HERE.parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def run_cases(*options: str, **environment: str) -> None:
    cases = str(HERE / "cases.py")
    options = ("-p", "no:cacheprovider", *options)
    run_python("-m", "pytest", *options, cases, **environment)


@pytest.mark.slow
def test_in_the_interpreter():
    run_cases(TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")


@pytest.mark.slow
def test_compiles_for_a_gpu(tmp_path):
    compiled = run_python(
        "-m",
        "tests.ops.triton.compile_for_gpu",
        CUDA_VISIBLE_DEVICES="",
        TRITON_INTERPRET="0",
        TRITON_CACHE_DIR=str(tmp_path),
    )
    assert set(compiled.split()) == KERNELS


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_the_gpu():
    # compiling the kernels is most of it
    run_cases("-n", str(min(6, os.cpu_count() or 1)), TRITON_INTERPRET="0")
