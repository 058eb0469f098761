"""Writing and drawing predictions; the progress bars."""

import logging
import types

import av
import numpy as np
import pytest
import torch

from mmfusion.engine import PredictionDumpHook, ProgressHook, ShowPredictionsHook
from mmfusion.engine.hooks import prediction_dump_hook
from mmfusion.evaluation.predictions import (
    from_rows,
    load_predictions,
    save_predictions,
)
from mmfusion.structures import ActionDataSample
from mmfusion.utils.errors import ConfigError
from tests.engine.toy_runs import run_toy


class Runner:
    class test_dataloader:
        class dataset:
            metainfo = {"classes": {"action": [f"do {index}" for index in range(7)]}}


def sample(name):
    made = ActionDataSample(metainfo={"sample_id": name})
    made.gt_action = torch.tensor(2)
    made.score_action = torch.linspace(0, 1, 7).softmax(0)
    return made


def test_every_second_clip_is_drawn(tmp_path):
    hook = ShowPredictionsHook(show_dir=str(tmp_path), interval=2)
    video = torch.randint(0, 255, (3, 1, 3, 4, 48, 64), dtype=torch.uint8)
    samples = [sample("a/b#1"), sample("c"), sample("d")]
    hook.after_test_iter(Runner, 0, {"inputs": {"video": video}}, samples)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_b_1.mp4", "d.mp4"]
    with av.open(str(tmp_path / "d.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 4


class TestRun:
    """A finished test of five clips."""

    cfg = {"load_from": "best.pth"}
    logger = logging.getLogger("test")

    class test_dataloader:
        class dataset(list):
            metainfo = {"classes": {"action": ["a", "b"]}}

        dataset = dataset(range(5))


def test_predictions_of_ranks_are_put_in_order_and_repeated_ones_cut(
    tmp_path, monkeypatch
):
    """Rank r of 2 has every second clip; the last of rank 1 is clip 0 again."""
    hook = PredictionDumpHook(str(tmp_path / "out.json"))
    hook.before_test_epoch(TestRun)
    hook.after_test_iter(TestRun, 0, {}, [sample(name) for name in "024"])
    mine = hook._rows

    def gather(rows):
        hook.after_test_iter(TestRun, 0, {}, [sample(name) for name in "130"])
        return [rows[:3], hook._rows[3:]]

    monkeypatch.setattr(prediction_dump_hook, "gather_json", gather)
    hook.after_test_epoch(TestRun, {"action/top1": 40.0})
    found = load_predictions(tmp_path / "out.json")
    assert found.ids == list("01234") and len(mine) == 6
    assert found.metainfo["metrics"] == {"action/top1": 40.0}
    assert found.metainfo["checkpoint"] == "best.pth"
    assert found.gt["action"].tolist() == [2] * 5
    report = found.metainfo["report"]["action"]
    assert report["confusion"]["cells"] == [[2, 6, 5]]
    assert report["calibration"]["num_clips"] == 5
    hook.before_test_epoch(TestRun)
    assert hook._rows == []


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    hook = PredictionDumpHook(str(tmp_path / "out.json"))
    hook.after_test_iter(TestRun, 0, {}, [sample("0")])
    monkeypatch.setattr(prediction_dump_hook, "is_main_process", lambda: False)
    hook.after_test_epoch(TestRun, {})
    assert not list(tmp_path.iterdir())


def test_a_clip_that_is_there_is_not_replaced(tmp_path):
    (tmp_path / "c.mp4").write_text("mine")
    hook = ShowPredictionsHook(show_dir=str(tmp_path))
    video = torch.zeros((1, 1, 3, 1, 32, 32), dtype=torch.uint8)
    with pytest.raises(ConfigError, match="c.mp4 is there and is not replaced"):
        hook.after_test_iter(Runner, 0, {"inputs": {"video": video}}, [sample("c")])
    assert (tmp_path / "c.mp4").read_text() == "mine"


def test_predictions_are_replaced_by_the_same_checkpoint_only(tmp_path):
    path = tmp_path / "p.json"
    rows = [{"id": "a", "gt": {}, "score": {"action": np.ones(2, np.float32)}}]
    save_predictions(path, from_rows(rows, {"checkpoint": "one.pth"}))
    runner = types.SimpleNamespace(cfg={"load_from": "one.pth"})
    PredictionDumpHook(str(path)).before_test(runner)
    runner.cfg["load_from"] = "two.pth"
    with pytest.raises(ConfigError, match="p.json: the file is there and of one.pth"):
        PredictionDumpHook(str(path)).before_test(runner)
    path.write_text('{"records": []}')
    with pytest.raises(ConfigError, match="is there and not a file of predictions"):
        PredictionDumpHook(str(path)).before_test(runner)


def test_drawing_needs_a_video_and_a_window_a_display(tmp_path, monkeypatch):
    hook = ShowPredictionsHook(show_dir=str(tmp_path))
    with pytest.raises(ConfigError, match="stream 'video', this config has .*skeleton"):
        hook.after_test_iter(Runner, 0, {"inputs": {"skeleton": torch.ones(1)}}, [])
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ConfigError, match="--show needs a display"):
        ShowPredictionsHook(show=True)


def test_progress_bars_on_a_terminal_only(tmp_path, capsys):
    shown = {"default_hooks.progress": dict(type="ProgressHook", enabled=True)}
    run_toy(tmp_path / "shown", shown)
    printed = capsys.readouterr().err
    assert "training" in printed and "epoch 3: action/top1" in printed
    run_toy(tmp_path / "quiet", {"default_hooks.progress": dict(type="ProgressHook")})
    assert "training" not in capsys.readouterr().err
    assert ProgressHook().enabled is None
