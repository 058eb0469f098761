"""Caches of videos: whole, resumed, and what is broken named."""

import numpy as np
import pytest

from mmfusion.datasets.caches.skeleton_cache import load_skeleton_file
from mmfusion.datasets.media.video_io import open_video
from mmfusion.hands import extract_video
from mmfusion.hands.extraction import (
    KINDS,
    check_settings,
    extract_videos,
    plan_jobs,
)
from mmfusion.utils.errors import InputError, VideoDecodeError
from tests.hands.fakes import BrightHands
from tests.video_files import set_rotation, write_video


def test_cache_of_a_video(tmp_path):
    video = write_video(tmp_path / "a.mp4", 6)
    tracks = extract_video(video, tmp_path / "out" / "a.npz", BrightHands())
    found = load_skeleton_file(str(tmp_path / "out" / "a.npz"), KINDS[2])
    assert (found.fps, found.sequence) == (10, "a")
    assert found.frame_id.tolist() == tracks.frame_id.tolist() == list(range(6))
    np.testing.assert_array_equal(found.keypoint, tracks.keypoint)
    assert (np.diff(found.keypoint[:, 1, 0, 0]) > 0).all()  # in the order of time
    with np.load(tmp_path / "out" / "a.npz") as arrays:
        assert arrays["score"].tolist() == [[0, 1]] * 6


def test_every_second_frame(tmp_path):
    video = write_video(tmp_path / "a.mp4", 5)
    extract_video(video, tmp_path / "all.npz", BrightHands())
    extract_video(video, tmp_path / "some.npz", BrightHands(), every=2)
    some = load_skeleton_file(str(tmp_path / "some.npz"))
    every = load_skeleton_file(str(tmp_path / "all.npz"))
    assert some.frame_id.tolist() == [0, 2, 4]
    np.testing.assert_array_equal(some.keypoint, every.keypoint[::2])
    with pytest.raises(InputError, match="every is 0"):
        extract_video(video, tmp_path / "none.npz", BrightHands(), every=0)


def test_frames_come_as_players_show_them(tmp_path):
    video = set_rotation(write_video(tmp_path / "a.mp4", 3), 90)
    hands = BrightHands()
    extract_video(video, tmp_path / "a.npz", hands)
    assert hands.shapes == [(128, 96, 3)] * 3


def test_changing_rate_keeps_the_times(tmp_path):
    video = write_video(tmp_path / "a.mp4", 4, stamps=[0, 10, 50, 60])
    extract_video(video, tmp_path / "a.npz", BrightHands())
    found, reader = load_skeleton_file(str(tmp_path / "a.npz")), open_video(video)
    assert reader.times.tolist() == [0, 0.1, 0.5, 0.6]
    moments = found.frame_id / reader.fps
    away = np.abs(moments[:, None] - reader.times).min(axis=1)
    assert away.max() <= 0.5 / reader.fps
    assert found.frame_id.tolist() == [0, 1, 3]  # the last two share a number


def test_complete_caches_are_kept_and_broken_videos_named(tmp_path):
    (tmp_path / "in" / "x").mkdir(parents=True)
    write_video(tmp_path / "in" / "x" / "a.mp4", 3)
    (tmp_path / "in" / "bad.mp4").write_bytes(b"no video")
    jobs = plan_jobs([tmp_path / "in"], tmp_path / "out")
    assert [job.name for job in jobs] == ["bad", "x/a"]
    bad, good = extract_videos(jobs, BrightHands())
    assert bad.valid is None and "bad.mp4" in (bad.error or "")
    assert good.valid is not None and not good.kept
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.npz")) == ["a.npz"]
    _, again = extract_videos(jobs, BrightHands())
    assert again.kept and again.valid is not None
    good.job.target.write_bytes(good.job.target.read_bytes()[:-40])
    _, mended = extract_videos(jobs, BrightHands())
    assert not mended.kept


def test_video_cut_short_leaves_no_cache(tmp_path):
    video = write_video(tmp_path / "a.mkv", 12)
    video.write_bytes(video.read_bytes()[:-400])
    with pytest.raises(VideoDecodeError, match="a.mkv"):
        extract_video(video, tmp_path / "out" / "a.npz", BrightHands())
    assert not (tmp_path / "out").exists()


def test_plan_refuses_what_it_cannot_do(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        plan_jobs([tmp_path / "none"], tmp_path)
    with pytest.raises(InputError, match="has no video"):
        plan_jobs([tmp_path], tmp_path)
    for name in ("a.mp4", "a.mkv"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="would both be written"):
        plan_jobs([tmp_path], tmp_path)


def test_settings_are_not_mixed(tmp_path):
    check_settings(tmp_path, {"every": 1})
    check_settings(tmp_path, {"every": 1})
    with pytest.raises(InputError, match="every 1, now it is 2"):
        check_settings(tmp_path, {"every": 2})
    (tmp_path / "extract.json").write_text("[]")
    with pytest.raises(InputError, match="no table of settings"):
        check_settings(tmp_path, {"every": 2})
