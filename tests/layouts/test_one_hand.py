import numpy as np

from mmfusion.hands import HandTracks
from mmfusion.layouts.landmarks import LandmarkOptions, read_landmarks
from mmfusion.layouts.one_hand import as_one_hand, busiest


def test_the_hand_seen_most_wins_where_both_are():
    valid = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [0, 0]], bool)
    assert busiest(valid).tolist() == [0, 1, 1, 1, 1]
    by_joint = np.repeat(valid[..., None], 3, axis=2)
    assert busiest(by_joint).tolist() == [0, 1, 1, 1, 1]


def test_of_equals_the_first():
    assert busiest(np.ones((2, 2), bool)).tolist() == [0, 0]
    assert as_one_hand(np.arange(4).reshape(2, 2), np.array([1, 0])).tolist() == [
        [1],
        [2],
    ]


def tracks() -> HandTracks:
    valid = np.array([[1, 0], [0, 1], [0, 1]], bool)
    joints = np.zeros((3, 2, 21, 3), np.float32)
    joints[:, 0], joints[:, 1] = 0.25, 0.5
    joints += np.linspace(0, 0.1, 21, dtype=np.float32)[:, None]
    joints *= valid[..., None, None]
    return HandTracks(joints, valid, valid.astype(np.float32), np.arange(3))


def test_tracks_of_one_hand():
    one = tracks().as_one_hand()
    assert one.keypoint[:, 0, 0, 0].tolist() == [0.25, 0.5, 0.5]
    assert one.valid.shape == one.score.shape == (3, 1) and one.valid.all()
    np.testing.assert_array_equal(one.as_one_hand().keypoint, one.keypoint)


def test_files_of_two_hands_are_read_as_one(tmp_path):
    two = tracks()
    cache = dict(frame_id=two.frame_id, fps=30.0, sequence="a", valid=two.valid)
    np.savez(tmp_path / "a.npz", keypoint=two.keypoint, **cache)
    options = LandmarkOptions(skeleton={"hands": ["hand"]})
    found = read_landmarks(tmp_path / "a.npz", options)
    assert found.skeleton["hands"] == ["hand"] and found.valid.tolist() == [[True]] * 3
    assert found.keypoint[:, 0, 0, 0].tolist() == [0.25, 0.5, 0.5]
    one = two.as_one_hand()
    cache["valid"] = one.valid
    np.savez(tmp_path / "b.npz", keypoint=one.keypoint, **cache)
    alike = read_landmarks(tmp_path / "b.npz", LandmarkOptions())
    assert alike.skeleton == found.skeleton
    np.testing.assert_array_equal(alike.keypoint, found.keypoint)
