"""The GPU benchmark as far as a CPU can run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import gpu
import pytest
import torch
from gpu_build import cut_kernels, cut_setup, edit
from gpu_report import Results, render
from gpu_steps import classifier_step
from gpu_time import Options
from published import published, stand_in_kernels

from mmfusion.models import VideoMamba

TOOLS = Path(__file__).resolve().parents[3] / "tools" / "benchmarks"
SETUP = """cc_flag = []
    cc_flag.append("-gencode")
    # HACK: The compiler flag -D_GLIBCXX_USE_CXX11_ABI
    nvcc = ["-O3", "-lineinfo", "--ptxas-options=-v", "--use_fast_math"] + cc_flag
"""


def run(script: str, *arguments: object) -> subprocess.CompletedProcess:
    command = ["bash", str(TOOLS / script), *map(str, arguments)]
    # the scripts call "python3": the one that runs the tests, activated or not
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        command, capture_output=True, text=True, check=False,
        env=os.environ | {"PATH": path},
    )  # fmt: skip


@pytest.mark.parametrize("script", ["gpu.sh", "gpu_wheels.sh"])
def test_help_and_wrong_options(script):
    done = run(script, "--help")
    assert done.returncode == 0 and f"bash tools/benchmarks/{script}" in done.stdout
    done = run(script, "--nothing")
    assert done.returncode == 2 and "unknown option --nothing" in done.stderr
    done = run(script, "--out")
    assert done.returncode == 2 and "--out needs a value" in done.stderr


@pytest.mark.parametrize(
    "option, value, message",
    [
        ("--device", "tpu", "expected cpu or cuda"),
        ("--budget", "x", "expected seconds"),
    ],
)
def test_wrong_values_of_the_run(option, value, message):
    done = run("gpu.sh", option, value)
    assert done.returncode == 2 and message in done.stderr


def test_a_dry_run_leaves_out_what_has_no_time(tmp_path):
    options = ("--device", "cpu", "--out", tmp_path, "--parts", "scans")
    done = run("gpu.sh", *options, "--budget", "6")
    assert done.returncode == 1, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["scans"] == dict(state="left out: no time left")
    assert results["build"]["state"] == "skipped"


@pytest.mark.slow
def test_a_dry_run_of_the_models(tmp_path):
    """The whole script; its other parts have tests in one process."""
    parts = ("chip", "models", "compile")
    done = run("gpu.sh", "--device", "cpu", "--out", tmp_path, "--parts", *parts)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert {results[part]["state"] for part in parts} == {"done"}
    assert "VideoMamba" in (tmp_path / "results.md").read_text()


class Here:
    """A part in this process, in place of one of its own."""

    def __init__(self, command, **options):
        self.code = gpu.main(command[2:])

    def wait(self, timeout):
        return self.code


def test_scans_at_toy_size(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu.subprocess, "Popen", Here)
    monkeypatch.setattr(gpu, "end_group", lambda process: None)
    options = ["--device", "cpu", "--parts", "scans", "--scratch", str(tmp_path)]
    assert gpu.main([*options, "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["scans"]["state"] == "done"
    points = results["scans"]["points"]
    assert len(points) == 4
    for point in points.values():
        assert not point["failed"]
        assert all(timed["error"] < 0.05 for timed in point["timed"].values())
    assert "| both directions | 33 | 16 |" in (tmp_path / "results.md").read_text()


def test_a_training_step_at_toy_size(tmp_path):
    options = Options("cpu", out=tmp_path, scratch=tmp_path, deadline=0.0)
    step = classifier_step("tiny", 32, options)
    before = [p.detach().clone() for p in step.model.parameters()]
    step()
    changed = zip(step.model.parameters(), before, strict=True)
    assert any(not torch.equal(now, was) for now, was in changed)


def test_a_setup_for_one_architecture():
    cut = cut_setup(SETUP, "90")
    assert "cc_flag = ['-gencode', 'arch=compute_90,code=sm_90']" in cut
    assert "-lineinfo" not in cut and "ptxas" not in cut and "fast_math" in cut
    with pytest.raises(ValueError, match="0 times"):
        cut_setup("nothing that is known", "90")


def test_kernels_without_what_is_not_launched(tmp_path):
    source = (
        "BOOL_SWITCH(params.is_variable_B, kIsVariableB, [&] {\n"
        "BOOL_SWITCH(params.seq_idx != nullptr, kHasSeqIdx, [&] {\n"
        "BOOL_SWITCH(params.z_ptr != nullptr, kHasZ, [&] {\n"
        "fwd_launch<128, 2, input_t, weight_t>(params, stream);\n"
        "fwd_launch<128, 4, input_t, weight_t>(params, stream);\n"
    )
    cut = cut_kernels(source)
    assert "ONLY(true, params.is_variable_B, kIsVariableB," in cut
    assert "ONLY(false, params.seq_idx != nullptr, kHasSeqIdx," in cut
    assert "BOOL_SWITCH(params.z_ptr != nullptr, kHasZ," in cut
    assert "<128, 2," not in cut and "<128, 4," in cut
    file = tmp_path / "kernel.cu"
    file.write_text(cut)
    with pytest.raises(ValueError, match="nothing to change"):
        edit(file, cut_kernels)


def timed(ms: float, **more: float) -> dict[str, float]:
    return dict(ms=ms, low=ms - 0.1, high=ms + 0.1, n=3, error=0.001, **more)


def test_a_report_of_stored_results(tmp_path):
    machine = dict(cpu="a CPU", cores=2, threads=1, torch="2.11", python="3.12")
    scan = dict(part="both directions", length=7, channels=16, mode="forward")
    scan |= dict(against="theirs", failed={}, bytes=1e6, exps=1e6)
    scan["timed"] = dict(ours=timed(1, eager_ms=2.0), theirs=timed(1.5, eager_ms=2.0))
    step = dict(timed=dict(a=timed(30, peak_gb=2.0)), against="a")
    step["failed"] = dict(b="Error: a | b\nmore")
    results = Results(tmp_path, fresh=True)
    results.update("chip", dict(machine=machine | dict(date="today")))
    results.update("parity", dict(tests=dict(counts=dict(passed=3), bad=["one"])))
    results.update("scans", dict(points=dict(one=scan), state="done", seconds=3))
    results.update("scans", dict(more=1))  # adds to what is there
    results.update("models", dict(points=dict(tiny=step), failed=dict(big="no c")))
    text = (tmp_path / "results.md").read_text()
    assert "GPU tests (parity): passed 3.\n- not passed: `one`" in text
    assert (
        "| both directions | 7 | 16 | forward | ours | 1.000 | 2.000 | 1.50 |" in text
    )
    assert (
        "| tiny | a | 30.00 | 29.90 to 30.10, n=3 | 0.0 | 1.00 | 2.00 | 1e-03 |" in text
    )
    assert "| tiny | b | failed | Error: a / b more |" in text
    assert "| big | all | failed | no c |" in text
    assert "| scans | done | 3 |" in text and text == render(results.read())


def test_the_published_arrangement_is_the_same_model():
    torch.manual_seed(0)
    model = VideoMamba("nano", img_size=32, num_frames=2)
    clips = torch.randn(1, 3, 2, 32, 32)
    expected = model(clips).cls
    with published(model, stand_in_kernels()):
        found = model(clips).cls
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(model(clips).cls, expected)  # the class's own again
