"""One side for each hand, as long as it is followed."""

import numpy as np

from mmfusion.hands.sides import Sighting, place_hands


def seen(track, frames, right, place=0.5):
    joints = np.full((21, 3), place)
    return [Sighting(frame, track, joints, 0.9, right) for frame in frames]


def test_frames_of_a_hand_vote():
    tracks = place_hands(seen(0, range(3), 0.8) + seen(0, [3], 0.1), 5)
    assert tracks.valid.tolist() == [[False, True]] * 4 + [[False, False]]
    assert tracks.score[:, 1].tolist() == np.float32([0.9] * 4 + [0]).tolist()
    assert tracks.keypoint[4].max() == 0
    assert tracks.frame_id.tolist() == [0, 1, 2, 3, 4]


def test_two_hands_together_are_a_left_and_a_right_one():
    unsure, sure = seen(0, range(4), 0.6, place=0.2), seen(1, range(4), 0.9, place=0.7)
    tracks = place_hands(unsure + sure, 4)
    assert tracks.valid.all()
    np.testing.assert_allclose(tracks.keypoint[:, 0], 0.2)
    np.testing.assert_allclose(tracks.keypoint[:, 1], 0.7)


def test_hands_one_after_the_other_may_be_of_one_side():
    tracks = place_hands(seen(0, [0, 1], 0.9) + seen(1, [2, 3], 0.8), 4)
    assert tracks.valid.tolist() == [[False, True]] * 4


def test_no_hand_at_all():
    tracks = place_hands([], 2)
    assert tracks.keypoint.shape == (2, 2, 21, 3) and not tracks.valid.any()
