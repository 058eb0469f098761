"""Writing and drawing predictions; the progress bars."""

import av
import pytest
import torch

from mmfusion.engine import ProgressHook, ShowPredictionsHook
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
