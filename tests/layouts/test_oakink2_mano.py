"""Joints from MANO parameters, with a stand-in for the licensed model."""

import numpy as np
import pytest

from mmfusion.layouts.oakink2_mano import joints_of_hands, load_hand_models
from tests.oakink2_files import annotation


def fake_hand(poses: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    assert poses.shape[1:] == (16, 4) and shapes.shape[1:] == (10,)
    return np.tile(np.arange(21, dtype=np.float32)[:, None], (len(poses), 1, 3))


def test_joints_are_those_of_the_model_moved_by_the_translation():
    mano = annotation()["raw_mano"]
    mano[104] = {k: v for k, v in mano[104].items() if not k.startswith("rh")}
    models = {"left": fake_hand, "right": fake_hand}
    joints, valid, ids = joints_of_hands(mano, [96, 100, 104], models)
    assert ids.tolist() == [100, 104]
    assert joints.shape == (2, 2, 21, 3)
    assert valid.tolist() == [[True, True], [True, False]]
    np.testing.assert_allclose(joints[0, 1, 20], 20.25)
    assert not joints[1, 1].any()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((), None, "raw_mano is None, expected a dict by frame"),
        ((104,), [1], r"raw_mano of frame 104 is \[1\], expected a dict"),
        ((104, "lh__tsl"), None, "frame 104: lh__tsl is None, expected numbers"),
        ((104, "rh__betas"), "x", "frame 104: rh__betas is 'x', expected numbers"),
        ((104, "rh__pose_coeffs"), np.zeros((1, 15, 4)), "frame 104: rh__pose_coeffs"),
    ],
)
def test_a_wrong_parameter_names_frame_and_key(place, value, message):
    mano = {number: dict(entry) for number, entry in annotation()["raw_mano"].items()}
    if not place:
        mano = value
    elif len(place) == 1:
        mano[place[0]] = value
    else:
        mano[place[0]][place[1]] = value
    with pytest.raises(ValueError, match=message):
        joints_of_hands(mano, [100, 104], {"left": fake_hand, "right": fake_hand})


def test_missing_model_says_what_to_install(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"MANO_LEFT.pkl is missing: install"):
        load_hand_models(tmp_path)
    (tmp_path / "models").mkdir()
    for side in ("LEFT", "RIGHT"):
        (tmp_path / "models" / f"MANO_{side}.pkl").write_bytes(b"")
    with pytest.raises(ImportError, match=r"manotorch does not import .* --joints"):
        load_hand_models(tmp_path)
