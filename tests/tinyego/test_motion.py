"""Motion, and what two clips of one scene have in common."""

import numpy as np
import pytest

from mmfusion.tinyego import ACTIONS, ClipPlan, WorldConfig, plan_world
from mmfusion.tinyego.motion import (
    CLIP_LENGTHS,
    LENS,
    ClipMotion,
    empty_moments,
    simulate_clip,
)
from mmfusion.tinyego.rendering import HIDDEN_JOINTS

CONFIG = WorldConfig(num_train=24, num_val=12, num_test=0)
PLANS = plan_world(CONFIG)


def _act(name: str, scene: int = 5) -> ClipMotion:
    action = next(a for a in ACTIONS if a.name == name)
    return simulate_clip(CONFIG, PLANS[-1], ClipPlan(action, scene))


@pytest.mark.parametrize("verb", ["grab", "place", "open", "close"])
def test_the_noun_never_shows_in_the_hands(verb: str) -> None:
    one, other = _act(f"{verb} milk"), _act(f"{verb} chips")
    np.testing.assert_array_equal(one.measured, other.measured)
    np.testing.assert_array_equal(one.valid, other.valid)
    np.testing.assert_array_equal(one.object_center, other.object_center)


def test_open_and_close_differ_in_the_hidden_fingers_only() -> None:
    opening, closing = _act("open milk"), _act("close milk")
    moved = opening.joints != closing.joints  # (T, 2, 21, 3)
    assert not moved[:, 0].any()
    assert np.flatnonzero(moved.any((0, 1, 3))).tolist() == HIDDEN_JOINTS
    gap = np.linalg.norm(opening.joints - closing.joints, axis=-1)[[0, -1], 1]
    assert (gap[:, [8, 12, 16, 20]] > 0.02).all()  # metres: twenty times the noise
    np.testing.assert_array_equal(opening.head_rotation, closing.head_rotation)
    np.testing.assert_array_equal(opening.object_tilt, closing.object_tilt)


def test_grab_lifts_and_place_sets_down() -> None:
    up, down = _act("grab milk").object_center, _act("place milk").object_center
    assert up[-1, 1] < up[0, 1] - 0.08  # y points down
    assert down[-1, 1] > down[0, 1] + 0.08


def test_hands_are_flagged_when_out_of_view_or_lost() -> None:
    for plan in PLANS:
        for clip in plan.clips:
            motion = simulate_clip(CONFIG, plan, clip)
            assert len(motion.valid) in CLIP_LENGTHS
            assert (motion.measured[~motion.valid] == 0).all()
            pixels = LENS.project(motion.measured[motion.valid])
            inside = (pixels >= -5) & (pixels < [LENS.width + 5, LENS.height + 5])
            assert (inside.all(-1).mean(-1) >= 0.5).all()


def test_measured_joints_are_near_the_drawn_ones() -> None:
    motion = _act("grab lotion")
    error = (motion.measured - motion.joints)[motion.valid]
    assert 0 < np.abs(error).max() < 0.006


def test_pauses_are_empty() -> None:
    motion = empty_moments(np.random.default_rng(0), 4)
    assert motion.joints.shape == (4, 2, 21, 3)
    assert not motion.valid.any() and not motion.measured.any()


@pytest.mark.parametrize("length", CLIP_LENGTHS)
@pytest.mark.parametrize("samples", [4, 8, 16, 32])
def test_no_sample_falls_on_the_edge_of_a_frame(length: int, samples: int) -> None:
    position = (np.arange(samples) + 0.5) * length / samples
    for edge in (0.0, 0.5):  # where rounding down, and to the nearest, would turn
        distance = np.abs(position - edge - np.round(position - edge))
        assert distance.min() >= 0.4 / samples
