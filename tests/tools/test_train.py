"""``tools/train.py`` and ``tools/test.py`` as a user runs them."""

import importlib.util
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mmfusion.utils.errors import NonFiniteError
from tests.engine.toy_runs import CONFIG, differences, run_toy

ROOT = Path(__file__).resolve().parents[2]


def load_tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def call(monkeypatch):
    """Run a tool in this process: (its arguments) -> exit code."""
    count = iter(range(99))

    def run(tool, *arguments, options=()):
        # a name of its own: MMEngine shares objects by name within one process
        name = f"experiment_name=cli{time.time_ns()}{next(count)}"
        argv = [tool, *map(str, arguments), "--cfg-options", name, *options]
        monkeypatch.setattr(sys, "argv", argv)
        return load_tool(tool).main()

    return run


def test_training_is_told_within_thirty_lines(call, tmp_path, capsys):
    level = ["log_level=INFO", "train_cfg.max_epochs=1"]
    assert call("train", CONFIG, "--work-dir", tmp_path, options=level) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("Epoch(train)" in line for line in lines[:30])
    (log,) = tmp_path.glob("*/*.log")
    text = log.read_text()
    assert "Hooks will be executed" in text and "Config:" in text and "GCC" in text
    assert str(log) in lines[0]


def test_train_then_test_and_dump(call, tmp_path, capsys):
    work = tmp_path / "w"
    assert call("train", CONFIG, "--work-dir", work) == 0
    assert call("train", CONFIG, "--work-dir", work) == 0
    for name in ("p.json", "p.npz"):
        arguments = [CONFIG, work / "best.pth", "--work-dir", tmp_path / "t"]
        assert call("test", *arguments, "--dump", tmp_path / name) == 0
    dumped = json.loads((tmp_path / "p.json").read_text())
    arrays = np.load(tmp_path / "p.npz")
    assert [row["id"] for row in dumped["predictions"]] == arrays["id"].tolist()
    assert arrays["id"].tolist() == [f"toy-{index}" for index in range(11)]
    rows = [row["score"]["action"] for row in dumped["predictions"]]
    scores = np.array(rows, np.float32)  # the JSON has a float32's nine digits
    np.testing.assert_array_equal(scores, arrays["score_action"])
    hits = [row["gt"]["action"] for row in dumped["predictions"]] == scores.argmax(1)
    best = json.loads((work / "finished.json").read_text())["best"]
    assert 100 * hits.mean() == pytest.approx(best["value"])
    assert dumped["metainfo"]["metrics"]["action/top1"] == pytest.approx(best["value"])


def test_flags_reach_the_run(call, tmp_path, monkeypatch):
    built = {}

    class Recorder:
        exit_code, hooks, was_stopped = 0, (), False

        def train(self):
            pass

    def build(config):
        built.update(config.to_dict())
        return Recorder()

    monkeypatch.setattr("mmfusion.registry.RUNNERS.build", build)
    flags = [
        "--amp",
        "force",
        "--no-validate",
        "--auto-scale-lr",
        "--seed",
        "7",
        "--compile",
    ]
    more = ["--diff-rank-seed", "--deterministic", "--work-dir", tmp_path]
    scale = ["auto_scale_lr.base_batch_size=8"]
    assert call("train", CONFIG, *flags, *more, options=scale) == 0
    assert built["optim_wrapper"]["dtype"] == "bfloat16" and built["compile"] is True
    assert built["val_cfg"] is None and built["val_dataloader"] is None
    assert built["auto_scale_lr"] == {"base_batch_size": 8, "enable": True}
    assert built["randomness"] == dict(seed=7, diff_rank_seed=True, deterministic=True)
    assert built["work_dir"] == str(tmp_path) and built["launcher"] == "none"


@pytest.mark.parametrize(
    ("arguments", "options", "code", "said"),
    [
        (["no.py"], (), 2, "config no.py does not exist"),
        ([CONFIG], ["modle.type=X"], 2, "nearest: model"),
        ([CONFIG], ["model.wide=3"], 2, "model.wide: ToyModel has no argument 'wide'"),
        ([CONFIG], ["model.num_classes=9"], 2, "num_classes is 9"),
        ([CONFIG, "--auto-scale-lr"], (), 2, "--auto-scale-lr needs"),
        ([CONFIG, "--resume", "no.pth"], (), 3, "no.pth does not exist"),
        ([CONFIG], ["train_dataloader.dataset.bad_index=5"], 1, "toy-5"),
        ([CONFIG], ["optim_wrapper.dtype=float16"], 2, "dtype is 'float16'"),
        ([CONFIG], ["optim_wrapper.clip_grad.max=1"], 2, "no argument 'max'"),
        ([CONFIG], ["optim_wrapper.accumulative_counts=0"], 2, "counts is 0"),
        ([CONFIG], ["optim_wrapper.optimizer.lr=-1"], 2, "Invalid learning rate: -1"),
        ([CONFIG], ["train_cfg.max_epochs=0"], 2, "max_epochs is 0"),
        ([CONFIG], ["train_dataloader.batch_size=0"], 2, "batch_size: got 0"),
        ([CONFIG], ["default_hooks.checkpoint=3"], 2, "checkpoint: got 3"),
        (
            [CONFIG],
            ["train_dataloader.dataset.missing=9", "train_dataloader.num_workers=1"],
            1,
            "cannot read video 'no.mp4'",
        ),
    ],
)
def test_errors_are_one_message(call, tmp_path, capsys, arguments, options, code, said):
    assert call("train", *arguments, "--work-dir", tmp_path, options=options) == code
    printed = capsys.readouterr().err
    assert said in printed and "Traceback" not in printed
    assert len(printed.splitlines()) < 25


def test_work_folder_that_cannot_be_written(call, tmp_path, capsys):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        assert call("train", CONFIG, "--work-dir", folder) == 2
        assert f"work folder {folder} cannot be made" in capsys.readouterr().err


def test_a_failed_resume_leaves_a_complete_run_complete(call, tmp_path):
    assert call("train", CONFIG, "--work-dir", tmp_path) == 0
    assert call("train", CONFIG, "--work-dir", tmp_path, "--resume", "no.pth") == 3
    assert (tmp_path / "finished.json").exists()


def test_debug_shows_where(call, tmp_path):
    bad = ["train_dataloader.dataset.bad_index=5"]
    with pytest.raises(NonFiniteError):
        call("train", CONFIG, "--debug", "--work-dir", tmp_path, options=bad)


def test_wrong_checkpoint_in_testing(call, tmp_path, capsys):
    run_toy(tmp_path / "w")
    model = ["model.num_classes=4", "test_dataloader.dataset.num_classes=4"]
    arguments = [CONFIG, tmp_path / "w" / "best.pth", "--work-dir", tmp_path / "t"]
    assert call("test", *arguments, options=model) == 3
    assert "file (3, 8), model (4, 8)" in capsys.readouterr().err
    assert call("test", CONFIG, tmp_path / "no.pth", "--work-dir", tmp_path / "t") == 3
    assert call("test", *arguments, "--dump", tmp_path / "x.pkl") == 2
    assert call("test", *arguments, "--show-dir", tmp_path / "shown") == 2


def test_a_clip_that_cannot_be_read_in_testing_is_a_failed_run(call, tmp_path, capsys):
    run_toy(tmp_path / "w")
    arguments = [CONFIG, tmp_path / "w" / "best.pth", "--work-dir", tmp_path / "t"]
    broken = ["test_dataloader.dataset.missing=3"]
    assert call("test", *arguments, options=broken) == 1
    assert "cannot read video 'no.mp4'" in capsys.readouterr().err


OPTIONS = {"train_cfg.max_epochs": 20, "custom_hooks.1.patience": 20}


def wait_for(path, is_alive):
    end = time.monotonic() + 60
    while not path.exists():
        assert is_alive() and time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.slow
def test_terminated_then_killed_then_complete_is_bitwise_the_same(tmp_path):
    """SIGTERM to the command's group, the same run, SIGKILL, the same run."""
    work = tmp_path / "cut"
    command = [sys.executable, "tools/train.py", CONFIG, "--work-dir", work]
    options = [f"{key}={value}" for key, value in OPTIONS.items()]
    first = subprocess.Popen(
        [*map(str, command), "--cfg-options", *options],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(work / "epoch_2.pth", lambda: first.poll() is None)
    os.killpg(first.pid, signal.SIGTERM)
    assert first.wait(60) == 0
    assert not (work / "finished.json").exists()
    second = multiprocessing.get_context("fork").Process(
        target=run_toy, args=(work, OPTIONS)
    )
    second.start()
    wait_for(work / "epoch_9.pth", second.is_alive)
    second.kill()
    second.join()
    assert not (work / "finished.json").exists()
    run_toy(work, OPTIONS)
    run_toy(tmp_path / "whole", OPTIONS)
    assert differences(work / "epoch_20.pth", tmp_path / "whole/epoch_20.pth") == []
    ends = [folder / "finished.json" for folder in (work, tmp_path / "whole")]
    assert ends[0].read_text() == ends[1].read_text()
