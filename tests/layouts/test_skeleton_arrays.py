"""The one rule for hand skeletons: seen, masked or refused, through every door."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmfusion.datasets.transforms import LoadSkeleton
from mmfusion.layouts.box_arrays import check_boxes
from mmfusion.layouts.landmarks import LandmarkOptions
from mmfusion.layouts.sequence_arrays import read_sequences
from mmfusion.layouts.skeleton_arrays import TWO_HANDS, SkeletonKind, check_skeleton
from mmfusion.utils.errors import BoxError, MMFusionError, SkeletonError

HANDS = SkeletonKind.of(TWO_HANDS)


def hands(num: int = 6) -> np.ndarray:
    """(num, 2, 21, 3): two hands of 20 cm half a metre before the camera."""
    keypoint = np.zeros((num, 2, 21, 3), np.float32)
    keypoint[..., 0] = np.arange(21) / 100 + np.arange(num)[:, None, None] / 1000
    keypoint[..., 1] = np.arange(2)[:, None] / 10
    keypoint[..., 2] = 0.5
    return keypoint


def changed(*place: Any, to: float) -> np.ndarray:
    keypoint = hands()
    keypoint[place] = to
    return keypoint


def by_prepare(folder: Path, arrays: dict, meta: dict) -> tuple[np.ndarray, np.ndarray]:
    """Joints and mask (t, h, j) that the converter takes from an npz."""
    frames = len(arrays["keypoint"])
    others = {"start": [0], "length": [frames], "label": [0], "class_names": ["a"]}
    np.savez(folder / "set.npz", **arrays, **others)
    found = read_sequences(folder / "set.npz", LandmarkOptions(meta))
    return found.keypoint, as_joints(found.valid)


def by_pipeline(
    folder: Path, arrays: dict, meta: dict
) -> tuple[np.ndarray, np.ndarray]:
    """Joints and mask (t, h, j) that training reads from a cache."""
    np.savez(folder / "cache.npz", **arrays)
    frames = len(arrays["keypoint"])
    results = {
        "sample_id": "a",
        "start_sec": 0.0,
        "end_sec": frames / 10,
        "index_fps": 10.0,
        "ann_meta": {"skeleton": meta},
        "skeleton_path": str(folder / "cache.npz"),
        "times": {"skeleton": (np.arange(frames)[None] + 0.5) / 10},
    }
    out = LoadSkeleton()(results)
    mask = out["joints_mask"][0]
    return np.where(mask[..., None], out["joints"][0], 0), mask


def as_joints(valid: np.ndarray) -> np.ndarray:
    return np.repeat(valid[..., None], 21, 2) if valid.ndim == 2 else valid


DOORS = pytest.mark.parametrize("door", [by_prepare, by_pipeline])
Door = Callable[[Path, dict, dict], tuple[np.ndarray, np.ndarray]]
SEEN = np.ones((6, 2), bool)
BY_JOINT = np.ones((6, 2, 21), bool)
BY_JOINT[1, 0, 4] = False


@DOORS
@pytest.mark.parametrize(
    ("arrays", "unseen"),
    [
        ({"keypoint": changed(2, 1, to=0)}, (2, 1)),
        ({"keypoint": changed(2, 1, to=0), "valid": SEEN}, (2, 1)),
        ({"keypoint": changed(2, 1, 3, to=np.nan)}, (2, 1, 3)),
        ({"keypoint": changed(2, 1, to=np.nan)}, (2, 1)),
        ({"keypoint": hands(), "valid": BY_JOINT}, (1, 0, 4)),
        ({"keypoint": hands(), "valid": BY_JOINT.astype(np.uint8)}, (1, 0, 4)),
        ({"keypoint": changed(1, 0, 4, to=np.inf), "valid": BY_JOINT}, (1, 0, 4)),
        # a wrist at the origin is a wrist
        ({"keypoint": changed(1, 0, 0, to=0)}, None),
    ],
    ids=["zeros", "zeros said seen", "nan joint", "nan hand", "by joint", "0 and 1"]
    + ["inf not seen", "origin"],
)
def test_what_is_not_found_is_masked(
    door: Door, arrays: dict, unseen: tuple | None, tmp_path: Path
) -> None:
    joints, mask = door(tmp_path, arrays, TWO_HANDS)
    expected = np.ones((6, 2, 21), bool)
    if unseen is not None:
        expected[unseen] = False
    np.testing.assert_array_equal(mask, expected)
    given = np.where(expected[..., None], arrays["keypoint"], 0)
    np.testing.assert_array_equal(joints, given)


@DOORS
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid": np.full((6, 2), np.nan)}, "valid holds nan; expected True"),
        ({"valid": np.full((6, 2), 2)}, "valid holds 2; expected True and False"),
        ({"valid": np.full((6, 2), "yes")}, "valid holds dtype.*expected True"),
        ({"valid": np.ones((6, 1, 2), bool)}, r"valid has shape \(6, 1, 2\)"),
        (
            {"keypoint": changed(3, 1, 20, 2, to=np.nan), "valid": SEEN},
            "row 3, hand 1, joint 20: z is nan; expected a finite number",
        ),
        ({"keypoint": np.full((6, 2, 21, 3), "x")}, "no array of numbers but <U1"),
        ({"keypoint": hands() > 0}, "no array of numbers but bool"),
        ({"keypoint": hands() * 1j}, "no array of numbers but complex"),
        ({"keypoint": hands()[:, :, :0]}, "6 frames of 2 hands and 0 joints"),
        ({"keypoint": hands()[:, :, :20]}, "2 hands x 20 joints x 3; expected"),
        ({"keypoint": hands() * 1000}, "is 200 metres across; expected 0.01 to 1"),
        ({"keypoint": changed(4, 0, 7, to=80)}, "row 4, hand 0 is .* metres across"),
        ({"keypoint": hands() / 1000}, "hand 0 is 0.0002 metres across"),
        ({"keypoint": changed(5, 1, to=-1)}, "row 5, hand 1 is 0 metres across"),
    ],
    ids=["nan valid", "2 valid", "text valid", "3-d valid", "nan seen", "text", "bools"]
    + ["complex", "no joints", "20 joints", "mm", "one in mm", "km", "one place"],
)
def test_what_cannot_be_right_is_refused(
    door: Door, changes: dict, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SkeletonError, match=rf"\.npz'.*{message}"):
        door(tmp_path, {"keypoint": hands(), **changes}, TWO_HANDS)


@DOORS
@pytest.mark.parametrize(
    "meta",
    [{"unit": "image"}, {"unit": "m", "frame": "image"}],
    ids=str,
)
def test_pixels_are_no_fractions(door: Door, meta: dict, tmp_path: Path) -> None:
    meta = {"layout": "openpose21", **meta}
    fractions = hands() + [0.3, 0.2, 0]
    joints, mask = door(tmp_path, {"keypoint": fractions}, meta)
    assert mask.all() and joints.max() < 1
    message = r"row 0, hand 0, joint 0 is at .*expected fractions of the image's width"
    with pytest.raises(SkeletonError, match=message):
        door(tmp_path, {"keypoint": fractions * [1280, 720, 1]}, meta)


def test_millimetres_have_their_own_range() -> None:
    kind = SkeletonKind.of({**TWO_HANDS, "unit": "mm"})
    assert check_skeleton("a", {"keypoint": hands() * 1000}, kind).valid.all()
    with pytest.raises(SkeletonError, match="0.2 millimetres across; expected 10 to"):
        check_skeleton("a", {"keypoint": hands()}, kind)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_id": np.arange(6, dtype=np.uint8)[::-1]}, "4 follows 5 at row 1"),
        ({"frame_id": np.full(6, np.nan)}, r"frame_id is float64 \(6,\); expected"),
        ({"frame_id": np.array(list("abcdef"))}, r"frame_id is <U1 \(6,\); expected"),
        ({"frame_id": np.ones((6, 1), int)}, r"frame_id is int64 \(6, 1\); expected"),
        ({"frame_id": np.arange(6) - 1}, r"frame_id\[0\] is -1; expected 0\.\."),
        ({"frame_id": np.arange(6, dtype="u8") + 2**63}, r"frame_id\[0\] is 922"),
        ({"frame_id": np.array([0, 1, 2, 3, 4, None])}, r"frame_id is object \(6,\)"),
        ({"fps": -30.0}, "fps is -30.0; expected a positive number"),
        ({"fps": np.nan}, "fps is nan; expected a positive number"),
        ({"fps": "30"}, "fps is '30'; expected a positive number"),
        ({"fps": np.full((1, 1), 30.0)}, r"fps is \[\[30.0\]\]; expected a positive"),
        ({"fps": None}, "fps is None; expected a positive number"),
        ({"sequence": 3}, "sequence is 3; expected a text"),
        ({"sequence": ["a"]}, r"sequence is \['a'\]; expected a text"),
        ({"keypoint": [[1], [1, 2]]}, "keypoint is no array of numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_kinds_are_told(changes: dict, message: str) -> None:
    with pytest.raises(SkeletonError, match=f"'a.npz': .*{message}"):
        check_skeleton("a.npz", {"keypoint": hands(), **changes}, HANDS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid": np.full((2, 1), np.nan)}, "valid holds nan"),
        ({"frame_id": np.array([9, 3], np.uint8)}, "3 follows 9"),
        ({"fps": "60"}, "fps is '60'"),
        ({"names": np.array([1])}, "names is int64"),
        ({"names": np.array(["a", "a"])}, "expected 1 different"),
        ({"boxes": np.full((2, 1, 4), 300)}, "not pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_boxes_have_the_same_kinds(changes: dict, message: str) -> None:
    arrays = {
        "boxes": np.array([[[0, 0, 0.5, 0.5]], [[0, 0, 0, 0]]]),
        "valid": np.ones((2, 1), bool),
        "frame_id": np.array([3, 9]),
        "fps": 60.0,
        "sequence": "P01_01",
        "names": np.array(["left hand"]),
    }
    assert check_boxes("a.npz", arrays).valid.tolist() == [[True], [False]]
    with pytest.raises(BoxError, match=rf"'a.npz': .*{message}"):
        check_boxes("a.npz", {**arrays, **changes})


def test_a_cache_at_another_rate_is_refused(tmp_path: Path) -> None:
    by_pipeline(tmp_path, {"keypoint": hands(), "fps": 10.0}, TWO_HANDS)
    with pytest.raises(MMFusionError, match="30 frame numbers a second.*index_fps is"):
        by_pipeline(tmp_path, {"keypoint": hands(), "fps": 30.0}, TWO_HANDS)
