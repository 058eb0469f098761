import numpy as np
import pytest
import torch

from mmfusion.datasets.transforms import SampleTimes
from tests.video_files import write_video

CLIP = dict(start_sec=2.0, end_sec=6.0)


def times(seed=0, clip=CLIP, **options):
    np.random.seed(seed)
    return SampleTimes(**options)(dict(clip))["times"]


def test_centres_in_test():
    out = times(num_frames=dict(video=4, skeleton=8), mode="uniform")
    np.testing.assert_allclose(out["video"], [[2.5, 3.5, 4.5, 5.5]])
    np.testing.assert_allclose(out["skeleton"], [2.25 + 0.5 * np.arange(8)])


def test_one_random_time_in_each_segment():
    out = times(num_frames=dict(video=4), num_views=50)["video"]
    segment = np.floor(out - 2.0)
    np.testing.assert_array_equal(segment, np.tile([0, 1, 2, 3], (50, 1)))
    assert len(np.unique(out)) == 200


def test_equal_counts_have_equal_times():
    out = times(num_frames=dict(video=8, skeleton=8, gaze=8), num_views=2)
    np.testing.assert_array_equal(out["video"], out["skeleton"])
    np.testing.assert_array_equal(out["video"], out["gaze"])


@pytest.mark.parametrize("seed", range(5))
def test_other_counts_follow_the_same_warp(seed):
    out = times(seed, num_frames=dict(video=4, skeleton=12))
    video, joints = out["video"][0], out["skeleton"][0]
    # centre k of 4 is centre 3 k + 1 of 12
    np.testing.assert_allclose(joints[1::3], video)
    assert (np.diff(joints) > 0).all() and joints[0] >= 2 and joints[-1] < 6


def test_views_shift_within_segments():
    out = times(num_frames=dict(video=2), mode="uniform", num_views=2)["video"]
    np.testing.assert_allclose(out, [[2.5, 4.5], [3.5, 5.5]])


def test_window_is_shared():
    out = times(num_frames=dict(a=4, b=4), window=(0.2, 0.3), num_views=9)
    np.testing.assert_array_equal(out["a"], out["b"])
    assert (np.ptp(out["a"], axis=1) < 0.3 * 4).all()
    assert out["a"].min() >= 2 and out["a"].max() < 6


def test_open_end_is_the_end_of_the_video(tmp_path):
    path = str(write_video(tmp_path / "a.mp4"))
    clip = dict(start_sec=0.0, end_sec=None, video_path=path)
    out = times(clip=clip, num_frames=dict(video=3), mode="uniform")
    np.testing.assert_allclose(out["video"], [[0.2, 0.6, 1.0]])


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (dict(start_sec=1.0, end_sec=1.0), "more than zero seconds"),
        (dict(start_sec=1.0, end_sec=None), "end_sec is missing"),
    ],
)
def test_wrong_clips(clip, message):
    with pytest.raises(ValueError, match=message):
        times(clip=clip, num_frames=dict(video=2))


@pytest.mark.parametrize(
    "options",
    [
        dict(num_frames={}),
        dict(num_frames=dict(video=0)),
        dict(num_frames=dict(video=1), mode="dense"),
        dict(num_frames=dict(video=1), num_views=0),
        dict(num_frames=dict(video=1), window=(0.0, 1.0)),
        dict(num_frames=dict(video=1), mode="uniform", window=(0.5, 1.0)),
    ],
    ids=str,
)
def test_wrong_options(options):
    with pytest.raises(ValueError, match="expected|takes"):
        SampleTimes(**options)


def test_the_last_moment_is_before_the_end(monkeypatch):
    """Random numbers next to 1 would round to the end, where no frame is."""
    last = np.nextafter(1.0, 0.0)
    monkeypatch.setattr(np.random, "random", lambda size: np.full(size, last))
    times = SampleTimes(dict(video=4))(dict(start_sec=0.0, end_sec=3.0))["times"]
    assert 2.999 < times["video"].max() < 3.0


def test_starts_are_the_frames_of_transformers_processors():
    """Theirs are arange(0, N, N / n), whole: frame floor(i N / n)."""
    fps, total, count = 30.0, 77, 8
    sampler = SampleTimes(dict(video=count), mode="starts")
    times = sampler(dict(start_sec=0.0, end_sec=total / fps))["times"]["video"][0]
    wanted = torch.arange(0, total, total / count).int().tolist()
    assert np.floor(times * fps + 1e-6).astype(int).tolist() == wanted
