"""Commands that from_observed.py runs, in which order, and where it stops."""

import os
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TOOL = ROOT / "tools" / "questions" / "from_observed.py"
CONFIG = ROOT / "configs" / "mambavl" / "video_only_nano_tinyego_observed.py"


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "nano" / "best.pth"
    path.parent.mkdir()
    path.touch()
    return path


def run(monkeypatch, checkpoint, codes=()):
    """The commands without the interpreter; ``codes`` are what they return, else 0."""
    calls, codes = [], list(codes)

    def call(command):
        calls.append(command[1:])
        return codes.pop(0) if codes else 0

    monkeypatch.setattr("subprocess.call", call)
    argv = [str(TOOL), str(CONFIG), str(checkpoint), "--splits", "train", "val"]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as found:
        runpy.run_path(str(TOOL), run_name="__main__")
    return found.value.code, calls


def test_each_split_is_labelled_then_asked(monkeypatch, checkpoint):
    code, calls = run(monkeypatch, checkpoint)
    names = [Path(one[0]).name for one in calls]
    assert code == 0 and names == ["test.py", "from_predictions.py"] * 2
    assert calls[0][-1] == "test_dataloader.dataset.split=train"
    assert "--training-clips" in calls[1] and "--training-clips" not in calls[3]
    out = "data/tinyego_ek100/questions/observed_validation.jsonl"
    assert calls[3][calls[3].index("--out") + 1] == out
    assert calls[3][calls[3].index("--recogniser") + 1] == "nano"
    annotation = "data/tinyego_ek100/mmfusion/annotation.json"
    assert calls[3][calls[3].index("--annotations") + 1] == annotation


def test_it_stops_where_a_command_fails(monkeypatch, checkpoint):
    code, calls = run(monkeypatch, checkpoint, [0, 2])
    assert code == 2 and len(calls) == 2


def test_a_dump_of_this_checkpoint_is_used_again(monkeypatch, checkpoint):
    folder = checkpoint.parent / "observed"
    folder.mkdir()
    for split in ("train", "val"):
        (folder / f"{split}.npz").touch()
    os.utime(checkpoint, (1, 1))
    code, calls = run(monkeypatch, checkpoint)
    names = [Path(one[0]).name for one in calls]
    assert code == 0 and names == ["from_predictions.py"] * 2
