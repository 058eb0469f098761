"""Frames of the public loaders, worked by hand from the lines that each cites."""

import numpy as np
import pytest

from mmfusion.datasets.public_windows import (
    afft_numbers,
    avt_numbers,
    inavit_numbers,
    jfaa_numbers,
    rulstm_numbers,
    vjepa2_numbers,
)

NTSC = 60_000 / 1001


def one(value):
    return np.array([value], dtype=float)


def test_inavit_stays_within_the_action():
    """500 frames at 50 a second: 64 of 30 are 106.67, the room is 393.33."""
    first, later = inavit_numbers(500, 50.0, 3, np.array([0.0, 0.25]))
    np.testing.assert_array_equal(first, [1, 0, 0])
    # ends 1.67 before 98.33; its begin, 106.67 earlier, is set to 0; both plus 1
    np.testing.assert_array_equal(later, [1, 49, 97])
    short = inavit_numbers(np.array([0, 1]), np.array([60.0, 60.0]), 3, np.zeros(1))
    assert not short.any() and short.shape == (2, 1, 3)


@pytest.mark.parametrize(
    ("start", "stop", "fps", "numbers"),
    [
        (600, 720, 60.0, [639, 646, 653]),  # a second before 720, 7 apart
        (600, 720, NTSC, [640, 647, 654]),  # int(59.94) = 59 frames before it
        (600, 720, 29.97, [682, 685, 688]),  # 29 frames of a slower video, 3 apart
        (600, 630, 60.0, [549, 556, 563]),  # half a second long: before its start
        (1, 50, 60.0, [-31, -24, -17]),  # before the video: the loader shows frame 0
    ],
)
def test_vjepa2_ends_a_second_before_the_end(start, stop, fps, numbers):
    np.testing.assert_array_equal(vjepa2_numbers(start, stop, fps, 3), numbers)


def test_vjepa2_counts_from_another_point():
    """At 1 it is the action's start; in training a part of its last quarter."""
    at_start = vjepa2_numbers(600, 720, 60.0, 3, point=1.0)
    np.testing.assert_array_equal(at_start, [519, 526, 533])
    # 0.25 * 601 + 0.75 * 720 = 690.25, less 90
    trained = vjepa2_numbers(601, 720, 60.0, 3, point=0.25, gap=1.5)
    np.testing.assert_array_equal(trained, [579, 586, 593])
    both = vjepa2_numbers(np.array([600, 1]), np.array([720, 50]), one(60.0), 3)
    np.testing.assert_array_equal(both, [[639, 646, 653], [-31, -24, -17]])


@pytest.mark.parametrize(
    ("start", "fps", "numbers"),
    [
        (600, 50.0, [532, 538, 544]),  # of images at 60: 0.83 s before, 6 apart
        (600, NTSC, [519, 526, 533]),
        (600, 29.97, [558, 562, 566]),  # half a second before, 4 apart
        (1, 60.0, [0, 0, 0]),
    ],
)
def test_jfaa_ends_before_the_start(start, fps, numbers):
    np.testing.assert_array_equal(jfaa_numbers(one(start), one(fps), 3), [numbers])


@pytest.mark.parametrize(
    ("start", "numbers", "dropped", "padded"),
    [
        (300, [195, 202, 210, 217, 225, 232, 240, 247, 255, 262, 270], False, False),
        (60, [7] * 6 + [7, 7, 15, 22, 30], False, True),  # 0 and less become 7
        # 0.9 s: the first frame is 0.75 s before, 0.8 s as its images begin at 1
        (27, [4] * 11, False, True),
        (9, [1] * 11, False, True),
        (8, None, True, True),
    ],
)
def test_rulstm_has_seen_11_of_14_steps(start, numbers, dropped, padded):
    found, lost, short = rulstm_numbers(one(start))
    assert (lost[0], short[0]) == (dropped, padded)
    if numbers:
        np.testing.assert_array_equal(found[0], numbers)


@pytest.mark.parametrize(
    ("start", "fps", "numbers", "dropped", "padded"),
    [
        (21.0, 60.0, np.arange(660, 1201, 60), False, False),
        # 599.4 frames of 10 s are cut to 599, which end 7 ms early
        (103.92, NTSC, np.arange(5628, 6169, 60), False, False),
        (3.0, 50.0, [0] * 8 + [50, 100], False, True),
        (1.5, 60.0, [30] * 10, False, True),
        (1.02, 60.0, None, True, False),  # less than a thirtieth is left
    ],
)
def test_avt_has_a_frame_a_second_from_the_back(start, fps, numbers, dropped, padded):
    found, lost, short = avt_numbers(one(start), one(fps))
    assert (lost[0], short[0]) == (dropped, padded)
    if numbers is not None:
        np.testing.assert_array_equal(found[0], numbers)


@pytest.mark.parametrize(
    ("start", "numbers", "dropped", "padded"),
    [
        (21.0, np.arange(90, 601, 30), False, False),
        (3.5, [15] * 16 + [45, 75], False, True),
        (1.05, [1] * 18, False, True),
        (1.0, None, True, False),
    ],
)
def test_afft_has_a_feature_a_second(start, numbers, dropped, padded):
    found, lost, short = afft_numbers(one(start))
    assert (lost[0], short[0]) == (dropped, padded)
    if numbers is not None:
        np.testing.assert_array_equal(found[0], numbers)
