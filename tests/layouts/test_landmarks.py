"""Landmarks of each kind of file go in and come out equal: numbers, mask, order."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mmfusion.datasets.caches.skeleton_cache import write_skeleton_cache
from mmfusion.layouts.hand_layouts import layout_of
from mmfusion.layouts.landmarks import (
    LandmarkOptions,
    find_landmarks,
    read_landmarks,
)
from mmfusion.utils.errors import MMFusionError
from tests.layouts import landmark_files as files

MEDIAPIPE = LandmarkOptions({"layout": "mediapipe", "unit": "image"})
OPENPOSE = LandmarkOptions({"layout": "openpose21", "unit": "m", "frame": "camera"})


def equal(found, points, valid, atol=0.0) -> None:
    seen = found.valid if found.valid.ndim == valid.ndim else found.valid[..., None]
    assert (np.broadcast_to(seen, valid.shape) == valid).all()
    flat = np.zeros((*points.shape[:-1], 3), np.float32)
    flat[..., : points.shape[-1]] = points
    np.testing.assert_allclose(found.keypoint, flat, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("write", "unit", "dims", "options", "layout", "frame"),
    [
        (files.tasks, "image", 3, None, "mediapipe", "image"),
        (files.tasks_of_javascript, "image", 3, None, "mediapipe", "image"),
        (files.holistic, "image", 3, None, "mediapipe", "image"),
        (files.holistic_of_protobuf, "image", 3, None, "mediapipe", "image"),
        (files.holistic_rows, "image", 3, None, "mediapipe", "image"),
        (
            partial(files.holistic_rows, width=1629),
            "image",
            3,
            None,
            "mediapipe",
            "image",
        ),
        (
            partial(files.holistic_rows, width=226),
            "image",
            3,
            None,
            "mediapipe",
            "image",
        ),
        (files.openpose, "px", 2, None, "openpose21", "image"),
        (files.wilor, "m", 3, None, "openpose21", "camera"),
        (files.hamer, "m", 3, None, "openpose21", "camera"),
        (files.wide_csv, "image", 3, MEDIAPIPE, "mediapipe", "image"),
        (
            partial(files.wide_csv, separator=";"),
            "m",
            3,
            OPENPOSE,
            "openpose21",
            "camera",
        ),
        (files.wide_csv, "image", 2, MEDIAPIPE, "mediapipe", "image"),
        (files.long_csv, "image", 3, MEDIAPIPE, "mediapipe", "image"),
        (files.array_npz, "m", 3, OPENPOSE, "openpose21", "camera"),
        (files.array_npy, "image", 2, MEDIAPIPE, "mediapipe", "image"),
        (files.flat_npy, "m", 3, OPENPOSE, "openpose21", "camera"),
    ],
)
def test_two_hands_come_out_equal(tmp_path, write, unit, dims, options, layout, frame):
    points, valid = files.two_hands(dims=dims, unit=unit)
    path = write(tmp_path, points, valid)
    found = read_landmarks(path, options or LandmarkOptions())
    atol = 1e-7 if "pred_cam_t" in str(path.name) or frame == "camera" else 0
    equal(found, points, valid, atol)
    assert found.skeleton["layout"] == layout and found.skeleton["frame"] == frame
    assert found.skeleton["hands"] == ["left", "right"]
    assert (found.skeleton["unit"], found.skeleton["dims"]) == (unit, dims)


def test_our_own_cache_comes_out_equal(tmp_path):
    points, valid = files.two_hands()
    ids = np.arange(6) * 2
    write_skeleton_cache(
        tmp_path / "a.npz",
        keypoint=points,
        valid=valid,
        frame_id=ids,
        fps=25.0,
        sequence="a",
    )
    found = read_landmarks(tmp_path / "a.npz")
    equal(found, points, valid)
    assert found.fps == 25.0 and found.frame_id.tolist() == ids.tolist()
    assert (found.kind, found.skeleton["layout"]) == ("skeleton cache", "mediapipe")


@pytest.mark.parametrize("write", [files.array_npz, files.array_npy, files.long_csv])
def test_twenty_joints_of_own_with_a_mask_by_joint(tmp_path, write):
    points = np.random.default_rng(1).random((6, 2, 20, 3)).astype(np.float32)
    valid = np.random.default_rng(2).random(points.shape[:3]) > 0.3
    valid[:, :, 0] = True
    points = np.where(valid[..., None], points, 0)
    names = [f"joint_{number}" for number in range(20)]
    skeleton = {"joints": names, "bones": [[0, 1], [1, 2]], "wrist": 0}
    found = read_landmarks(write(tmp_path, points, valid), LandmarkOptions(skeleton))
    equal(found, points, valid)
    layout = layout_of(found.skeleton)
    assert (layout.num_joints, layout.wrist) == (20, 0)


@pytest.mark.parametrize("columns", [2, 3], ids=["plain", "with-confidence"])
def test_a_flat_body_of_one_skeleton(tmp_path, columns):
    body = np.random.default_rng(0).random((5, 15, columns)) + 0.1
    body[3, 4, columns - 1] = 0.05 if columns == 3 else body[3, 4, 1]
    np.save(tmp_path / "body.npy", body)
    skeleton = {"num_joints": 15, "wrist": 0, "hands": ["body"], "unit": None}
    sure = 0.1 if columns == 3 else 0.0
    options = LandmarkOptions(skeleton, dims=2, min_confidence=sure)
    found = read_landmarks(tmp_path / "body.npy", options)
    assert found.keypoint.shape == (5, 1, 15, 3) and not found.keypoint[..., 2].any()
    valid = np.ones((5, 1, 15), bool)
    valid[3, 0, 4] = columns == 2
    equal(
        found, np.where(valid[..., None], body[:, None, :, :2], 0).astype("f4"), valid
    )


def test_sides_can_be_swapped_and_one_hand_taken(tmp_path):
    points, valid = files.two_hands()
    path = files.tasks(tmp_path, points, valid)
    equal(
        read_landmarks(path, LandmarkOptions(swap_hands=True)),
        points[:, ::-1],
        valid[:, ::-1],
    )
    one = read_landmarks(path, LandmarkOptions({"hands": ["right"]}))
    equal(one, points[:, 1:], valid[:, 1:])


def test_moments_come_with_the_file(tmp_path):
    points, valid = files.two_hands()
    found = read_landmarks(files.tasks_of_javascript(tmp_path, points, valid))
    assert found.fps == 25.0 and found.frame_id is None
    frames = [{"left_hand_landmarks": None, "timestamp_ms": 40 * n} for n in range(3)]
    found = read_landmarks(files.write_json(tmp_path / "a.json", frames))
    assert (found.fps, found.frame_id.tolist()) == (1000.0, [0, 40, 80])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "", "the file is empty"),
        ("a.json", "{", "not valid JSON"),
        ("a.json", "{}", "expected a list with an entry for each frame"),
        ("a.json", "[1]", "frame 0 is 1; expected 'hand_landmarks'"),
        (
            "a.json",
            '[{"hand_landmarks": [[1]], "handedness": []}]',
            "frame 0 has 1 hands",
        ),
        (
            "a.json",
            '[{"hand_landmarks": [[{"x": 1}]], "handedness": ["Left"]}]',
            "frame 0, landmark 0 is .*expected x, y and z",
        ),
        (
            "a.json",
            '[{"hand_landmarks": [[{"x": 0.1, "y": 0.2}]], "handedness": ["Left"]}]',
            "frame 0 has 1 landmarks; expected 21",
        ),
        (
            "a.json",
            '[{"hand_landmarks": [[]], "handedness": ["Up"]}]',
            "handedness is 'Up'; expected",
        ),
        (
            "a.json",
            '[[{"is_right": 1}]]',
            "expected 'is_right' and 'pred_keypoints_3d'",
        ),
        ("a.csv", "x,y\n", "no row of numbers"),
        ("a.csv", "wrist\n1\n", "the column 'wrist' has no axis"),
        ("a.csv", "wrist_x\n1\n", "expected columns of x, y"),
        ("a.csv", "a_x,a_y\n1,soon\n", "a.csv:2: a_y is 'soon'; expected a number"),
        ("a.csv", "a_x,a_y\n1\n", "a.csv:2: 1 columns and not 2"),
        ("a.csv", "frame,joint,x,y\n0,0,1,1\n0,0,1,1\n", "joint 0 of skeleton 0 twice"),
        ("a.csv", "frame,joint,x,y\n0,tip,1,1\n", "joint is 'tip'; expected a number"),
        (
            "a.csv",
            "frame,hand,joint,x,y\n0,up,0,1,1\n",
            "hand is 'up'; expected one of",
        ),
        ("a.csv", "a_x,a_y\n1,1\n", "nothing says what its 1 joints are"),
        ("a.npy", "no array", "not a readable npy"),
        ("a.npz", "no array", "not a readable npz"),
        ("a.txt", "1", "expected a file .npz"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(MMFusionError, match=message) as found:
        read_landmarks(path)
    assert name in str(found.value) and "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (np.zeros((4, 77)), LandmarkOptions(), "has 77 numbers in a row"),
        (np.zeros((4, 77)), MEDIAPIPE, "1 or 2 skeletons x 21 joints"),
        (np.ones((4, 20, 3)), MEDIAPIPE, "20 joints x 3; expected"),
        (np.ones((4, 2, 21, 7)), MEDIAPIPE, "7 numbers each; expected 3"),
        (np.full((4, 2, 21, 3), 99.0), MEDIAPIPE, "expected fractions"),
        (np.array(["a"]), MEDIAPIPE, "no array of numbers"),
        (np.ones((0, 2, 21, 3)), MEDIAPIPE, "it holds 0 frames"),
        (np.ones((4, 2, 21, 3)), LandmarkOptions(min_confidence=0.5), "no confidences"),
        (np.ones((4, 21, 3)), LandmarkOptions(swap_hands=True), "not 2"),
    ],
)
def test_a_wrong_array_is_one_line(tmp_path, array, options, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(MMFusionError, match=message):
        read_landmarks(tmp_path / "a.npy", options)


def test_an_array_of_objects_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}, []], object), allow_pickle=True)
    with pytest.raises(MMFusionError, match="no objects"):
        read_landmarks(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("lies", "found"),
    [
        ("a.npz", True),
        ("hands/a.csv", True),
        ("a/1_keypoints.json", True),
        ("b.npz", False),
    ],
)
def test_landmarks_lie_beside_the_video(tmp_path, lies, found):
    path = tmp_path / lies
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    place = path.parent if "_keypoints" in lies else path
    assert find_landmarks(tmp_path / "a.mp4") == (place if found else None)


def test_real_rows_of_holistic(shared_data: Path, tmp_path):
    with np.load(shared_data / "hands_msl150/msl150_sample.npz") as data:
        points, valid, pose = (data[key][:30] for key in ("keypoint", "valid", "pose"))
    rows = np.concatenate(
        [
            pose.reshape(30, 100),
            points[:, 0].reshape(30, 63),
            points[:, 1].reshape(30, 63),
        ],
        axis=1,
    )
    np.save(tmp_path / "msl150.npy", rows)
    equal(read_landmarks(tmp_path / "msl150.npy"), points, valid)
    body = read_landmarks(tmp_path / "msl150.npy", LandmarkOptions({"hands": ["body"]}))
    assert layout_of(body.skeleton).num_joints == 25
    assert body.valid.all()
    np.testing.assert_array_equal(body.keypoint, pose[:, None, :, :3])
