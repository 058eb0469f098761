"""The kinematic hand."""

import numpy as np
import pytest

from mmfusion.tinyego.hands import LEFT, RIGHT, HandPose, HandShape, hand_joints

SHAPE = HandShape.of_subject(1, 1.0)


def _pose(flexion: float) -> HandPose:
    """Fingers away from us, palm down (the camera's y points down)."""
    return HandPose(
        wrist=np.array([[0.1, 0.2, 0.4]]),
        distal=np.array([[0.0, 0.0, 2.0]]),
        palmar=np.array([[0.0, 1.0, 0.5]]),
        flexion=np.full((1, 5), flexion),
        spread=np.zeros((1, 5)),
    )


@pytest.mark.parametrize("side", [LEFT, RIGHT], ids=["left", "right"])
@pytest.mark.parametrize("flexion", [0.0, 0.5, 1.0])
def test_bones_keep_their_lengths(side: int, flexion: float) -> None:
    joints = hand_joints(SHAPE, _pose(flexion), side)
    assert joints.shape == (1, 21, 3)
    np.testing.assert_allclose(joints[0, 0], [0.1, 0.2, 0.4])
    fingers = joints[0, 1:].reshape(5, 4, 3)
    lengths = np.linalg.norm(np.diff(fingers, axis=1), axis=-1)
    np.testing.assert_allclose(lengths, SHAPE.bones[:, 1:])
    # knuckles of the four fingers are one bone away from the wrist
    knuckles = np.linalg.norm(fingers[1:, 0] - joints[0, 0], axis=-1)
    np.testing.assert_allclose(knuckles, SHAPE.bones[1:, 0])


def test_left_is_the_mirror_image_of_right() -> None:
    right = hand_joints(SHAPE, _pose(0.4), RIGHT)[0] - [0.1, 0.2, 0.4]
    left = hand_joints(SHAPE, _pose(0.4), LEFT)[0] - [0.1, 0.2, 0.4]
    np.testing.assert_allclose(left, right * [-1, 1, 1], atol=1e-12)


def test_right_thumb_of_a_palm_facing_down_points_left() -> None:
    joints = hand_joints(SHAPE, _pose(0.1), RIGHT)[0]
    assert joints[4, 0] < joints[0, 0] - 0.03
    assert joints[4, 0] < joints[8, 0] < joints[20, 0]


def test_flexion_brings_fingertips_into_the_palm() -> None:
    straight = hand_joints(SHAPE, _pose(0.0), RIGHT)[0]
    fist = hand_joints(SHAPE, _pose(1.0), RIGHT)[0]
    tips = [8, 12, 16, 20]
    reach = np.linalg.norm(straight[tips] - straight[0], axis=-1)
    assert (np.linalg.norm(fist[tips] - fist[0], axis=-1) < 0.65 * reach).all()
    assert (fist[tips, 1] > straight[tips, 1]).all()  # down: where the palm looks


def test_subjects_differ_and_are_reproducible() -> None:
    again = HandShape.of_subject(1, 1.0)
    np.testing.assert_array_equal(again.bones, SHAPE.bones)
    assert (HandShape.of_subject(2, 1.0).bones != SHAPE.bones).all()
