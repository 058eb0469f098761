"""Content of another type or shape is one line, and none of it passes as a result."""

import json

import numpy as np
import pytest

from mmfusion.datasets.caches.skeleton_cache import write_skeleton_cache
from mmfusion.datasets.transforms import LoadSkeleton
from mmfusion.layouts.clip_list import read_clip_list
from mmfusion.layouts.hand_layouts import MAX_JOINTS
from mmfusion.layouts.landmarks import LandmarkOptions, read_bones, read_landmarks
from mmfusion.layouts.skeleton_arrays import SkeletonKind
from mmfusion.utils.errors import MMFusionError
from tests.layouts import landmark_files as files

MEDIAPIPE = LandmarkOptions({"layout": "mediapipe", "unit": "image"})
HAND = [[0.1, 0.2, 0.3]] * 21
SEEN = {"landmarks": [HAND], "handednesses": ["Left"]}
WILOR = {"is_right": 1, "pred_keypoints_3d": HAND}
WRONG = [5, True, "x", 0.5, {"a": 1}, [5], [[5]], [["x"]], [None], [[1, 2], [3]]]


def holders():
    """Entries of each kind with a place ``None`` for a value of a wrong type."""
    for key in SEEN:
        yield {**SEEN, key: None}
    yield {"landmarks": [HAND], "handednesses": [{"categoryName": None, "score": 1}]}
    yield {
        "landmarks": [HAND],
        "handednesses": [{"categoryName": "Left", "score": None}],
    }
    yield {"landmarks": [None], "handednesses": ["Left"]}
    yield {"left_hand_landmarks": None}
    yield {"left_hand_landmarks": {"landmark": None}}
    yield None
    for key in ("is_right", "pred_keypoints_3d", "cam_t", "score", "wilor_preds"):
        yield [{**WILOR, key: None}]
    yield [None]


def put(holder, value):
    return json.loads(json.dumps(holder).replace("null", json.dumps(value)))


@pytest.mark.parametrize("first", [SEEN, {"left_hand_landmarks": HAND}, [WILOR]])
def test_json_of_any_type_is_read_or_one_line(tmp_path, first):
    refused = 0
    for holder in holders():
        for value in WRONG:
            path = files.write_json(tmp_path / "a.json", [first, put(holder, value)])
            try:
                found = read_landmarks(path)
                assert found.valid[0].any()
            except MMFusionError as error:
                assert "a.json" in str(error) and "\n" not in str(error)
                refused += 1
    assert refused > 60


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({**SEEN, "landmarks": 5}, "frame 1: landmarks is 5; expected a list"),
        ({**SEEN, "handednesses": 7}, "frame 1: handednesses is 7; expected a list"),
        ([{**WILOR, "score": "x"}], "frame 1: score is 'x'; expected a number"),
        (5, "frame 1 is 5; expected a list"),
    ],
)
def test_a_wrong_type_names_the_frame_and_the_key(tmp_path, entry, message):
    first = [WILOR] if entry == 5 or isinstance(entry, list) else SEEN
    path = files.write_json(tmp_path / "a.json", [first, entry])
    with pytest.raises(MMFusionError, match=message):
        read_landmarks(path)


@pytest.mark.parametrize("fps", [[1], [1, [2]], {}, "25", True, 0, -1])
def test_a_wrong_rate_is_one_line(tmp_path, fps):
    content = {"fps": fps, "frames": [SEEN]}
    path = files.write_json(tmp_path / "a.json", content)
    with pytest.raises(MMFusionError, match="a.json.*fps is .*expected a positive"):
        read_landmarks(path)


def test_a_frame_without_its_time_is_named(tmp_path):
    frames = [{**SEEN, "timestamp_ms": 40 * n} for n in range(4)]
    del frames[2]["timestamp_ms"]
    path = files.write_json(tmp_path / "a.json", frames)
    with pytest.raises(MMFusionError, match="frame 2: timestamp_ms is None"):
        read_landmarks(path)


@pytest.mark.parametrize("score", [{}, {"score": np.ones((6, 2))}], ids=["", "score"])
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize(
    "valid",
    [
        np.full((6, 2), 0.5),
        np.full((6, 2), 2),
        np.full((6, 2), "True"),
        np.ones((3, 2), bool),
        np.ones((3, 2, 21), bool),
        np.ones(6, bool),
        np.array(True),
    ],
)
def test_a_wrong_mask_is_refused_with_a_score_too(tmp_path, score, swap, valid):
    points, _ = files.two_hands()
    path = files.array_npz(tmp_path, points, valid, **score)
    options = LandmarkOptions(MEDIAPIPE.skeleton, swap_hands=swap)
    with pytest.raises(MMFusionError, match=r"array.npz.*valid h(olds|as)"):
        read_landmarks(path, options)


@pytest.mark.parametrize(
    "change",
    [
        {"cam_t": np.zeros((4, 2))},
        {"cam_t": np.zeros((3, 3))},
        {"cam_t": np.array("a")},
        {"score": np.array(1.0)},
        {"score": np.ones((2, 2))},
        {"pred_keypoints_3d": np.array(3.0)},
        {"pred_keypoints_3d": np.ones((4, 63))},
        {"is_right": np.ones(3)},
    ],
)
def test_arrays_of_wilor_of_another_shape_are_one_line(tmp_path, change):
    arrays = dict(
        pred_keypoints_3d=np.full((4, 21, 3), 0.1), is_right=np.ones(4), frame=range(4)
    )
    np.savez(tmp_path / "a.npz", **arrays | change)
    with pytest.raises(MMFusionError, match="a.npz"):
        read_landmarks(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "write",
    [
        files.tasks,
        files.holistic,
        files.holistic_rows,
        files.openpose,
        files.wilor,
        files.hamer,
    ],
)
def test_sides_stand_in_the_order_that_is_asked_for(tmp_path, write):
    unit = {files.openpose: "px", files.wilor: "m", files.hamer: "m"}.get(
        write, "image"
    )
    points, valid = files.two_hands(unit=unit, dims=2 if unit == "px" else 3)
    path = write(tmp_path, points, valid)
    plain = read_landmarks(path)
    turned = read_landmarks(path, LandmarkOptions({"hands": ["right", "left"]}))
    np.testing.assert_array_equal(turned.keypoint, plain.keypoint[:, ::-1])
    for side, name in enumerate(files.SIDES):
        one = read_landmarks(path, LandmarkOptions({"hands": [name]}))
        np.testing.assert_array_equal(one.keypoint[:, 0], plain.keypoint[:, side])
    with pytest.raises(MMFusionError, match="expected left,right"):
        read_landmarks(path, LandmarkOptions({"hands": ["a", "b", "c"]}))


def test_files_of_openpose_are_sorted_by_number(tmp_path):
    for number in (8, 9, 10, 11):
        flat = [float(number), 5.0, 1.0] + [90.0, 90.0, 1.0] * 20
        person = {"hand_left_keypoints_2d": flat}
        name = f"v_{number}_keypoints.json"
        files.write_json(tmp_path / name, {"people": [person]})
    found = read_landmarks(tmp_path)
    assert found.frame_id.tolist() == [8, 9, 10, 11]
    assert found.keypoint[:, 0, 0, 0].tolist() == [8, 9, 10, 11]


@pytest.mark.parametrize("text", ["[[0, 1], 5]", "[5]", '["ab"]', '[{"0": 1, "1": 2}]'])
def test_bones_that_are_no_pairs_are_one_line(tmp_path, text):
    (tmp_path / "bones.json").write_text(text)
    with pytest.raises(MMFusionError, match="bones.json: pair .* expected two numbers"):
        read_bones(tmp_path / "bones.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skeleton": {"wrist": -1}}, "wrist has joint -1"),
        ({"skeleton": {"num_joints": 20, "wrist": -1}}, "wrist has joint -1"),
        ({"skeleton": {"layout": "medipipe"}}, "did you mean 'mediapipe'"),
        ({"skeleton": {"hands": ["a", "a"]}}, "a name of its own"),
        ({"skeleton": {"hands": ["a", ""]}}, "a name of its own"),
        ({"skeleton": {"joints": ["a", "", "b"]}}, "joints has the name ''"),
        ({"skeleton": {"joints": ["a", "b", "a"]}}, "joints has the name 'a' twice"),
        ({"skeleton": {"num_joints": 10**9}}, f"expected 1..{MAX_JOINTS}"),
        ({"skeleton": {"num_joints": 0}}, f"expected 1..{MAX_JOINTS}"),
        ({"min_confidence": float("nan")}, "min_confidence is nan; expected 0..1"),
        ({"min_confidence": 5.0}, "min_confidence is 5.0; expected 0..1"),
    ],
)
def test_options_are_checked_without_a_file(options, message):
    with pytest.raises(MMFusionError, match=message):
        LandmarkOptions(**options)


def _table(path, columns, joints=None, **skeleton):
    """Landmarks of a csv; each has the place of its name in the header as its x."""
    head = [f"{name}_{axis}" for name in columns for axis in "xy"]
    row = [f"{place},5" for place in range(1, len(columns) + 1)]
    (path / "a.csv").write_text(f"{','.join(head)}\n{','.join(row)}\n")
    described = {"num_joints": len(columns)} if joints is None else {"joints": joints}
    options = LandmarkOptions({**described, **skeleton})
    return read_landmarks(path / "a.csv", options).keypoint[0, :, :, 0].tolist()


@pytest.mark.parametrize(
    ("columns", "joints", "skeleton", "expected"),
    [
        (["index", "wrist"], ["wrist", "index"], {}, [[2, 1]]),
        (["Index", "WRIST"], ["Wrist", "index"], {}, [[2, 1]]),
        (["1", "0"], ["wrist", "index"], {}, [[2, 1]]),
        (["p2", "p10", "p1"], None, {}, [[3, 1, 2]]),
        (["left_b", "left_a"], ["a", "b"], {"hands": ["left"]}, [[2, 1]]),
        (["right_hip", "left_hip"], ["left_hip", "right_hip"], {}, [[2, 1]]),
        (
            ["left_a", "left_b", "right_b", "right_a"],
            None,
            {"num_joints": 2},
            [[1, 2], [4, 3]],
        ),
        (
            ["right_a", "right_b", "left_a", "left_b"],
            ["b", "a"],
            {},
            [[4, 3], [2, 1]],
        ),
        (["1", "0", "3", "2"], ["a", "b"], {}, [[2, 1], [4, 3]]),
    ],
)
def test_columns_are_put_in_order_by_name(
    tmp_path, columns, joints, skeleton, expected
):
    assert _table(tmp_path, columns, joints, **skeleton) == expected


@pytest.mark.parametrize(
    ("columns", "joints", "skeleton", "message"),
    [
        (["nose", "wrist"], ["wrist", "index"], {}, r"the landmarks \['nose'\]"),
        (["left_a", "left_b", "right_a", "right_c"], None, {}, "the same of each"),
        (["a_l", "a_r", "b_l", "b_r"], ["a", "b"], {}, "numbers, or names that begin"),
        (["a", "a", "b", "b"], ["a", "b"], {}, "expected columns of x, y"),
    ],
)
def test_columns_of_unknown_names_are_refused(
    tmp_path, columns, joints, skeleton, message
):
    with pytest.raises(MMFusionError, match=message):
        _table(tmp_path, columns, joints, **skeleton)


def test_a_column_in_another_place_than_in_its_layout_is_refused(tmp_path):
    names = ["thumb", "wrist", *(f"other_{n}" for n in range(19))]
    head = ",".join(f"{name}_{axis}" for name in names for axis in "xy")
    (tmp_path / "a.csv").write_text(f"{head}\n{','.join(['0.1'] * 42)}\n")
    with pytest.raises(
        MMFusionError, match="landmark 1 .* is 'wrist', which is joint 0"
    ):
        read_landmarks(tmp_path / "a.csv", MEDIAPIPE)


@pytest.mark.parametrize("read", [read_landmarks, read_clip_list])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a_x,a_y\n1,2\n".encode("utf-16"), "csv:1: it is UTF-16; .*iconv -f utf-16"),
        (b"a_x,a_y\n1,\0\n", "csv:2: it has a NUL character; expected text in UTF-8$"),
    ],
)
def test_the_hint_of_a_csv_fits_its_bytes(tmp_path, read, data, message):
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(MMFusionError, match=message):
        read(tmp_path / "a.csv")


def test_a_cache_gives_to_training_what_was_read(tmp_path):
    """A flat body of 15 joints with a mask for each joint, and its own layout."""
    rng = np.random.default_rng(0)
    body, mask = 0.1 + rng.random((12, 1, 15, 2)), rng.random((12, 1, 15)) > 0.3
    mask[0] = True
    np.savez(tmp_path / "a.npz", keypoint=body, valid=mask)
    skeleton = {
        "joints": [f"part_{n}" for n in range(15)],
        "bones": [[0, 1], [1, 2]],
        "wrist": 0,
        "hands": ["body"],
    }
    found = read_landmarks(tmp_path / "a.npz", LandmarkOptions(skeleton))
    write_skeleton_cache(
        tmp_path / "cache.npz",
        keypoint=found.keypoint,
        valid=found.valid,
        frame_id=np.arange(12),
        fps=10.0,
        sequence="a",
        kind=SkeletonKind.of(found.skeleton),
    )
    sample = LoadSkeleton()(
        {
            "times": {"skeleton": (np.arange(12)[None] + 0.5) / 10},
            "skeleton_path": str(tmp_path / "cache.npz"),
            "ann_meta": {"skeleton": found.skeleton},
            "group": "a",
            "index_fps": 10.0,
            "start_sec": 0.0,
            "end_sec": 1.2,
        }
    )
    joints, seen = sample["joints"][0], sample["joints_mask"][0]
    np.testing.assert_array_equal(seen, mask)
    np.testing.assert_array_equal(joints[mask], found.keypoint[mask])
    np.testing.assert_array_equal(joints[mask][:, :2], body[mask].astype(np.float32))
    assert sample["joints_layout"].joint_names == tuple(skeleton["joints"])
    assert (sample["joints_dims"], sample["joints_hands"]) == (2, ["body"])
