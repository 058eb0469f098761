"""Camera and rotations."""

import numpy as np
import pytest

from mmfusion.tinyego.geometry import (
    Intrinsics,
    minimum_jerk,
    rotation_matrices,
    smooth_noise,
)


def test_project_by_hand() -> None:
    lens = Intrinsics(fx=100, fy=200, cx=50, cy=40, width=100, height=80)
    pixel = lens.project(np.array([0.1, -0.1, 0.5]))
    np.testing.assert_allclose(pixel, [70.0, 0.0])


def test_resized_lens_scales_pixels() -> None:
    lens = Intrinsics(fx=100, fy=200, cx=50, cy=40, width=100, height=80)
    point = np.array([0.1, 0.2, 0.7])
    small = lens.resized(50, 20).project(point)
    np.testing.assert_allclose(small, lens.project(point) * [0.5, 0.25])
    np.testing.assert_allclose(lens.matrix() @ [0, 0, 1], [50, 40, 1])


def test_quarter_turn_about_z_takes_x_to_y() -> None:
    turn = rotation_matrices(np.array([[0, 0, np.pi / 2], [0, 0, 0]]))
    np.testing.assert_allclose(turn[0] @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(turn[1], np.eye(3))


def test_rotations_are_orthonormal() -> None:
    turns = rotation_matrices(np.random.default_rng(0).normal(size=(9, 3)))
    identity = np.broadcast_to(np.eye(3), (9, 3, 3))
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), identity, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1.0)


@pytest.mark.parametrize(("progress", "place"), [(-1, 0), (0, 0), (0.5, 0.5), (2, 1)])
def test_minimum_jerk(progress: float, place: float) -> None:
    assert minimum_jerk(np.array(progress)) == pytest.approx(place)


def test_smooth_noise_stays_near_its_amplitude() -> None:
    noise = smooth_noise(np.random.default_rng(1), 300, 4, 0.01)
    assert noise.shape == (300, 4)
    assert 0.002 < np.abs(noise).max() < 0.02
