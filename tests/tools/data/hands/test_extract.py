"""The command from videos to caches."""

import pytest

import mmfusion.hands
from tests.hands.fakes import BrightHands
from tests.tools.command import run_tool
from tests.video_files import write_video

TOOL = "data/hands/extract"


@pytest.fixture(autouse=True)
def _bright_hands(monkeypatch):
    monkeypatch.setattr(
        mmfusion.hands, "MediaPipeHands", lambda models, **settings: BrightHands()
    )


def test_one_hand_has_no_sides(tmp_path, monkeypatch):
    def one_hand(models, *, one_hand, **settings):
        assert one_hand and settings["sweep"] is False and settings["look_back"] == 0
        return lambda frames: BrightHands()(frames).as_one_hand()

    monkeypatch.setattr(mmfusion.hands, "MediaPipeHands", one_hand)
    write_video(tmp_path / "a.mp4", 3)
    flags = ("--out", tmp_path / "out", "--one-hand", "--one-pass")
    done = run_tool(TOOL, tmp_path, *flags)
    assert done.returncode == 0
    assert "3 frames: a hand in 100.0 %\n" in done.stdout
    assert "(1 were there)" in run_tool(TOOL, tmp_path, *flags).stdout


def test_good_and_broken_videos_are_counted(tmp_path):
    write_video(tmp_path / "a.mp4", 3)
    (tmp_path / "bad.mp4").write_bytes(b"")
    done = run_tool(TOOL, tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "2 videos: 1 done (0 were there), 1 broken" in done.stdout
    assert "3 frames: a hand in 100.0 %, left in 0.0 %, right in 100.0 %" in done.stdout
    assert "bad.mp4" in done.stdout
    assert (tmp_path / "out" / "a.npz").is_file()
    again = run_tool(TOOL, tmp_path / "a.mp4", "--out", tmp_path / "out")
    assert again.returncode == 0 and "(1 were there)" in again.stdout
    other = run_tool(TOOL, tmp_path, "--out", tmp_path / "out", "--every", "2")
    assert other.returncode == 2
    assert other.stderr.startswith("error:") and "every 1" in other.stderr


def test_folder_without_videos(tmp_path):
    done = run_tool(TOOL, tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path} has no video")
