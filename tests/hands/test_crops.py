"""Turned squares: there and back."""

import cv2
import numpy as np
import pytest

from mmfusion.hands.crops import Square, overlap, square_of_joints, square_of_palm

SIZE = 224


def hand(*, x: float, y: float, length: float, angle: float) -> np.ndarray:
    """Joints (21, 3) of a flat hand whose wrist is at (x, y), fingers up at angle 0."""
    joints = [(0.0, 0.0)]
    for finger in range(5):
        joints += [
            (0.2 * (finger - 2), -0.4 - 0.2 * part) for part in range(4)
        ]  # y points down
    cos, sin = np.cos(angle), np.sin(angle)
    plane = np.array(joints) @ np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([plane * length + [x, y], np.zeros(21)])


@pytest.mark.parametrize("angle", [0.0, 0.5, -2.0, 3.0])
def test_square_turns_the_hand_upright(angle):
    joints = hand(x=300, y=200, length=80, angle=angle)
    square = square_of_joints(joints)
    assert square.angle == pytest.approx(angle, abs=1e-6)
    matrix = np.vstack([square.matrix(SIZE), [0, 0, 1]])
    flat = np.column_stack([joints[:, :2], np.ones(21)])
    upright = (np.linalg.inv(matrix) @ flat.T).T[:, :2]
    assert (upright > 0).all() and (upright < SIZE).all()
    assert upright[0, 1] > upright[12, 1]  # the wrist below the middle finger's tip
    assert upright[0, 0] == pytest.approx(upright[12, 0], abs=1)


@pytest.mark.parametrize("angle", [0.0, 1.0, -1.6])
def test_points_of_a_crop_come_back_to_the_picture(angle):
    square = Square(x=140.0, y=90.0, side=120.0, angle=angle)
    joints = np.random.default_rng(0).uniform(0, SIZE, (21, 3))
    back = square.to_picture(joints, SIZE)
    inverse = np.linalg.inv(np.vstack([square.matrix(SIZE), [0, 0, 1]]))
    again = (inverse @ np.column_stack([back[:, :2], np.ones(21)]).T).T[:, :2]
    np.testing.assert_allclose(again, joints[:, :2], atol=1e-6)
    np.testing.assert_allclose(back[:, 2], joints[:, 2] * 120 / SIZE)


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.5])
def test_spot_of_a_picture_is_where_the_crop_shows_it(angle):
    picture = np.zeros((240, 320, 3), np.uint8)
    cv2.circle(picture, (150, 110), 3, (255, 255, 255), -1)
    square = Square(x=160.0, y=120.0, side=100.0, angle=angle)
    crop = square.crop(picture, SIZE)[..., 0].astype(float)
    y, x = (np.indices(crop.shape) * crop).sum(axis=(1, 2)) / crop.sum() + 0.5
    found = square.to_picture(np.array([[x, y, 0]]), SIZE)[0, :2]
    np.testing.assert_allclose(found, [150.5, 110.5], atol=0.1)


def test_square_of_a_palm_reaches_to_the_fingers():
    square = square_of_palm(
        np.array([100.0, 100, 40, 40]), np.array([100.0, 120]), np.array([100.0, 85])
    )
    assert square == Square(100.0, 80.0, 104.0, 0.0)


def test_overlap():
    one = Square(10, 10, 10, 0)
    assert overlap(one, one) == 1
    assert overlap(one, Square(15, 10, 10, 0)) == pytest.approx(1 / 3)
    assert overlap(one, Square(30, 10, 10, 0)) == 0
