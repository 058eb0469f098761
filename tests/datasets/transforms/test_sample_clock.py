"""Times at a fixed rate."""

import numpy as np
import pytest

from mmfusion.datasets.sample_rng import sample_rng
from mmfusion.datasets.transforms import SampleClock
from mmfusion.utils.errors import InputError


def clip(start, end):
    return {"start_sec": start, "end_sec": end, "duration_sec": 60.0}


def test_a_window_has_the_ticks_of_the_whole_video() -> None:
    clock = SampleClock(dict(video=8, skeleton=30))
    whole = clock(clip(0.0, 60.0))["times"]
    part = clock(clip(8.0, 12.0))["times"]
    for stream, rate in (("video", 8), ("skeleton", 30)):
        ticks = whole[stream][0]
        inside = ticks[(ticks >= 8.0) & (ticks < 12.0)]
        np.testing.assert_array_equal(part[stream][0], inside)
        assert part[stream].shape == (1, 4 * rate)


def test_windows_that_start_between_ticks_have_as_many() -> None:
    times = SampleClock(dict(video=4))(clip(0.1, 2.1))["times"]["video"]
    np.testing.assert_allclose(times[0], np.arange(1, 9) / 4)


def test_a_moved_window_stays_in_its_video() -> None:
    clock = SampleClock(dict(video=4), shift=5.0)
    starts = []
    for seed in range(20):
        with sample_rng(seed, 0, "a"):
            results = clock(clip(50.0, 58.0))
        starts.append(results["start_sec"])
        assert results["times"]["video"].shape == (1, 32)
        assert results["end_sec"] - results["start_sec"] == pytest.approx(8.0)
    assert 45.0 <= min(starts) < max(starts) == 52.0


def test_a_faster_stream_is_never_ahead_of_the_moments() -> None:
    clock = SampleClock(dict(video=8, skeleton=30))
    for start, end in [(0.0, 46.63), (1.1, 9.1), (2.3, 2.4)]:
        times = {name: one[0] for name, one in clock(clip(start, end))["times"].items()}
        moments, hands = times["video"], times["skeleton"]
        told = np.arange(len(moments)) * len(hands) // len(moments)  # as EveryMoment
        late = moments - hands[told]
        assert late.min() > -1e-9 and late.max() < 2 / 30 + 1e-9


def test_a_short_video_is_filled_up() -> None:
    clock = SampleClock(dict(video=2, skeleton=4), num_frames=4)
    results = clock(clip(1.0, 2.0))
    assert results["times"]["video"].tolist() == [[1.0, 1.5, 1.5, 1.5]]
    assert results["times_mask"]["video"].tolist() == [[True, True, False, False]]
    assert results["times"]["skeleton"].shape == (1, 8)
    assert results["times_mask"]["skeleton"].sum() == 4
    with pytest.raises(InputError, match="num_frames: got 4; expected 6 or more"):
        clock(clip(1.0, 4.0))
    with pytest.raises(InputError, match="num_frames: got 0"):
        SampleClock(dict(video=2), num_frames=0)


@pytest.mark.parametrize("rates", [{}, {"video": 0}])
def test_rates_are_above_0(rates) -> None:
    with pytest.raises(InputError, match="rates"):
        SampleClock(rates)
