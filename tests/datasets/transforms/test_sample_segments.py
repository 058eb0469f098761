"""Frame numbers equal to those of the released loaders, worked out here by loops."""

import random

import numpy as np
import pytest

from mmfusion.datasets.transforms import SampleSegments, SampleTimes, SampleWindow
from mmfusion.datasets.transforms.sample_segments import frame_times
from tests.video_files import write_video

TOTALS = (1, 3, 7, 8, 9, 31, 300)


def clip(total, rate=10.0, start=0.0):
    """A folder of images, which counts its frames by index_fps."""
    return dict(start_sec=start, end_sec=start + total / rate, index_fps=rate)


def numbers(results, rate=10.0):
    return np.round(results["times"]["video"] * rate).astype(int)


@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("views", [1, 3, 4])
def test_rounded_views_are_those_of_the_kinetics_loader(total, views):
    seg = max(0.0, (total - 1) / 8)
    expected = [
        [
            min(int(np.round(seg * i)) + int(seg / (views + 1) * (k + 1)), total - 1)
            for i in range(8)
        ]
        for k in range(views)
    ]
    sample = SampleSegments(8, rule="rounded", mode="uniform", num_views=views)
    np.testing.assert_array_equal(numbers(sample(clip(total))), expected)


@pytest.mark.parametrize("total", TOTALS)
def test_floored_views_are_those_of_the_ssv2_loader(total):
    tick = total / 8
    both = sorted(
        [int(tick / 2 + tick * i) for i in range(8)] + [int(tick * i) for i in range(8)]
    )
    two = SampleSegments(8, rule="floored", mode="uniform", num_views=2)(clip(total))
    np.testing.assert_array_equal(numbers(two), [both[0::2], both[1::2]])
    one = SampleSegments(8, rule="floored", mode="uniform")(clip(total))
    centres = [int(tick / 2 + tick * i) for i in range(8)]
    np.testing.assert_array_equal(numbers(one), [centres])


@pytest.mark.parametrize("rule", ["rounded", "floored"])
@pytest.mark.parametrize("mode", ["random", "uniform"])
def test_no_number_lies_beyond_the_clip(rule, mode, monkeypatch):
    def largest(low, high=None, size=None):
        return np.broadcast_to(low if high is None else high, size or high.shape) - 1

    monkeypatch.setattr(np.random, "randint", largest)
    for total in range(1, 40):
        for views in (1, 2, 5):
            sample = SampleSegments(8, rule, mode, views)
            found = sample.frame_numbers(total, views - 1)
            assert found.min() >= 0 and found.max() < total


def test_random_numbers_fill_each_rounded_segment_to_both_ends():
    np.random.seed(0)
    sample = SampleSegments(4, rule="rounded", num_views=400)
    found = numbers(sample(clip(31)))
    seg = 30 / 4
    for place, column in enumerate(found.T):
        low, high = int(np.round(seg * place)), int(np.round(seg * (place + 1)))
        assert set(column) == set(range(low, high + 1))


def test_random_numbers_stay_below_the_next_floored_segment():
    np.random.seed(0)
    found = numbers(SampleSegments(4, rule="floored", num_views=300)(clip(31)))
    for place, column in enumerate(found.T):
        assert set(column) == set(range(7 * place, 7 * (place + 1)))
    short = numbers(SampleSegments(4, rule="floored", num_views=2)(clip(3)))
    assert not short.any()  # as there: of too short a clip the first frame


def test_a_clip_inside_a_recording_begins_at_its_own_frame():
    sample = SampleSegments(4, rule="rounded", mode="uniform")
    found = numbers(sample(clip(8, start=5.0)))
    np.testing.assert_array_equal(found, 50 + numbers(sample(clip(8))))


def test_the_frame_that_appears_at_a_clips_end_is_not_of_the_clip(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, 20)  # 10 a second
    shown = frame_times(dict(video_path=str(path), start_sec=0.5, end_sec=1.0))
    np.testing.assert_allclose(shown, [0.5, 0.6, 0.7, 0.8, 0.9], atol=1e-6)


@pytest.mark.parametrize("total", [16, 50, 333])
def test_avions_segment_centres_are_those_of_sample_times(total):
    """AVION: middles of 16 equal parts of the segment, as whole frames at 30 fps."""
    edges = np.linspace(60, 60 + total, 17)
    expected = ((edges[1:] + edges[:-1]) / 2).astype(int)
    sample = SampleTimes(num_frames=dict(video=16), mode="uniform")
    times = sample(dict(start_sec=2.0, end_sec=2.0 + total / 30))["times"]["video"]
    np.testing.assert_array_equal(np.floor(times[0] * 30 + 1e-6), expected)


def window_of_slowfast(total, size, view, views):
    delta = max(total - size, 0)
    start = random.uniform(0, delta) if view is None else delta * view / views
    index = np.linspace(start, start + size - 1, 16)
    return np.clip(index, 0, total - 1).astype(int)


@pytest.mark.parametrize("total", [20, 128, 500])
def test_windows_are_motionformers(total):
    size = 64 * 60 / 30  # frames at 60 a second
    sample = SampleWindow(16, seconds=64 / 30, mode="uniform", num_views=10)
    found = numbers(sample(clip(total, rate=60.0)), 60.0)
    expected = [window_of_slowfast(total, size, view, 10) for view in range(10)]
    assert np.abs(found - expected).max() <= 1  # a rate of 60.000001 cuts at times
    assert (found == expected).mean() > 0.95
    np.random.seed(1)
    drawn = numbers(SampleWindow(16, seconds=64 / 30)(clip(total, rate=60.0)), 60.0)
    assert drawn.min() >= 0 and drawn.max() < total
    assert np.ptp(drawn) == pytest.approx(min(size, total) - 1, abs=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(num_frames=8, rule="rond"), "rule: got 'rond'"),
        (dict(num_frames=0), "num_frames: got 0"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SampleSegments(**options)
    with pytest.raises(ValueError, match="seconds 0"):
        SampleWindow(8, seconds=0)


def test_a_clip_without_a_rate_is_refused():
    with pytest.raises(ValueError, match="no video file and no index_fps"):
        SampleSegments(4)(dict(sample_id="a", start_sec=0.0, end_sec=1.0))
