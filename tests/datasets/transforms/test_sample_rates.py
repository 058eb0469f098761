"""Frames by the clock of each stream."""

import numpy as np
import pytest

from mmfusion.datasets.transforms import NormalizeSkeleton, SampleRates
from mmfusion.utils.errors import InputError

RATES = dict(video=2.0, skeleton=4.0)
MOST = dict(video=3, skeleton=3)
CLIP = dict(start_sec=1.0, end_sec=2.0)


def test_all_frames_of_a_clip_by_hand() -> None:
    results = SampleRates(RATES, MOST, mode="all")(dict(CLIP))
    times, mask = results["times"], results["times_mask"]
    assert times["video"].tolist() == [[1.25, 1.75, 1.75]]
    assert mask["video"].tolist() == [[True, True, False]]
    # four fit, the last three stay
    assert times["skeleton"].tolist() == [[1.375, 1.625, 1.875]]
    assert mask["skeleton"].all()


def test_rounding_adds_no_frame_wherever_a_clip_begins() -> None:
    sampler = SampleRates(dict(video=15.0), dict(video=12), mode="all")
    counts = set()
    for first in range(300):  # 19 frames at 30 a second: the tenth would be at the end
        clip = dict(start_sec=first / 30, end_sec=(first + 19) / 30)
        counts.add(int(sampler(clip)["times_mask"]["video"].sum()))
    assert counts == {9}


def test_the_first_half_of_a_clip() -> None:
    sampler = SampleRates(RATES, MOST, mode="all", window=(0.5, 0.5))
    results = sampler(dict(CLIP))
    assert results["times"]["skeleton"].tolist() == [[1.125, 1.375, 1.375]]
    assert results["times_mask"]["video"].tolist() == [[True, False, False]]


def test_a_clip_shorter_than_a_frame_has_one() -> None:
    results = SampleRates(RATES, MOST, mode="all")(dict(start_sec=0.0, end_sec=0.1))
    assert results["times_mask"]["video"].sum() == 1
    assert 0 < results["times"]["video"][0, 0] < 0.1


def test_random_frames_stay_in_the_clip_and_in_order() -> None:
    sampler = SampleRates(
        dict(video=30.0), dict(video=40), window=(0.5, 1), speed=(0.8, 1.2), lost=0.3
    )
    np.random.seed(0)
    shares = []
    for _ in range(200):
        results = sampler(dict(CLIP))
        times = results["times"]["video"][results["times_mask"]["video"]]
        assert times[0] >= 1 and times[-1] < 2 and (np.diff(times) > 0).all()
        shares.append(len(times) / 30)
    assert min(shares) + 0.2 > 0.3 and abs(np.mean(shares) - 0.75 * 0.7) < 0.05


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (dict(rates=dict(video=0)), "rates"),
        (dict(num_frames=dict(video=3)), "num_frames"),
        (dict(window=(0.5, 1.5)), "window"),
        (dict(speed=(0, 1)), "speed"),
        (dict(lost=1), "lost"),
        (dict(mode="all", lost=0.5), "mode 'all'"),
        (dict(mode="uniform"), "mode"),
    ],
)
def test_wrong_arguments_are_named(change, text) -> None:
    with pytest.raises(InputError, match=text):
        SampleRates(**dict(dict(rates=RATES, num_frames=MOST), **change))


def test_first_size_measures_the_first_sight_alone() -> None:
    joints = np.zeros((1, 3, 1, 2, 3), np.float32)
    joints[0, 1, 0] = [[1, 0, 0], [3, 0, 0]]  # size 1: 1 from the middle each
    joints[0, 2, 0] = [[2, 0, 0], [8, 0, 0]]
    mask = np.ones((1, 3, 1, 2), bool)
    mask[0, 0] = False
    step = NormalizeSkeleton(mode="first_size", wrist=0)
    results = step(dict(joints=joints, joints_mask=mask))
    assert results["joints"][0, :, 0, :, 0].tolist() == [[0, 0], [0, 2], [1, 7]]
    reference = results["skeleton_reference"]
    assert reference.tolist() == [[1, 0, 0, 1]]
    # a later frame alone, measured as that first sight says
    later = dict(joints=joints[:, 2:], joints_mask=mask[:, 2:])
    results = step(dict(later, skeleton_reference=reference))
    assert results["joints"][0, 0, 0, :, 0].tolist() == [1, 7]
    never = step(dict(joints=joints, joints_mask=np.zeros_like(mask)))
    assert np.isnan(never["skeleton_reference"]).all() and not never["joints"].any()
