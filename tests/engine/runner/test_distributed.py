"""Two processes on a CPU (gloo)."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmfusion.weights.files import load_checked
from tests.engine.toy_runs import CONFIG, run_toy

ROOT = Path(__file__).resolve().parents[3]


def run_two(command, port_variable="PORT"):
    """Run a command that starts two processes; its output."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = str(server.getsockname()[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PORT": port}
    environment["PYTHONPATH"] = str(ROOT)
    # the scripts call "python": the one that runs the tests, activated or not
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = [str(part).replace("{port}", port) for part in command]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.slow
def test_two_processes_equal_one_with_the_same_global_batch(tmp_path):
    """``bash tools/dist_train.sh CONFIG 2``, as the README has it."""
    options = {"model.with_bn": False, "model.drop_rate": 0.0}
    texts = [f"{key}={value}" for key, value in options.items()]
    done = run_two(
        ["bash", "tools/dist_train.sh", CONFIG, 2, "--work-dir", tmp_path / "two"]
        + ["--cfg-options", "train_dataloader.batch_size=2", *texts]
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run_toy(tmp_path / "one", options)
    one, two = (
        load_checked(tmp_path / name / "epoch_3.pth")["state_dict"]
        for name in ("one", "two")
    )
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_two_processes_stop_together_continue_bitwise_and_fail_together(tmp_path):
    """Stopped in an epoch and in a validation by a signal to one; a NaN in one."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    script = "tests/engine/runner/distributed_script.py"
    done = run_two([*torchrun, "--master_port={port}", script, tmp_path])
    assert (tmp_path / "passed").exists(), done.stderr[-3000:]
    assert done.returncode != 0
    assert "NonFiniteError" in done.stderr and "toy-3" in done.stderr
