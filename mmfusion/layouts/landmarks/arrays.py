"""Landmarks in arrays: npz and npy, of numbers in rows or in their own shape.

An npz has the array ``keypoint`` (or keypoints, landmarks, joints, hands): (t, m, j, c),
(t, j, c) for one skeleton, or (t, n) as below; and perhaps ``valid``, ``score`` (or
confidence, visibility), ``frame_id`` (or frame, frames) and ``fps``. An npy has the
first of them. c is 2 or 3, or one more, which is a confidence.

Rows of so many numbers are MediaPipe Holistic's, as its users flatten them:

| numbers | order |
|---|---|
| 126 | left hand, right hand, 21 x 3 each |
| 225, 226, 258 | pose 33 x 3, 25 x 4 or 33 x 4, then both hands |
| 1662, 1692 | pose 33 x 4, face 468 or 478 x 3, then both hands |
| 1629 | face 468, left hand, pose 33, right hand, all x 3 |

HaMeR and WiLoR give hands in no order: ``pred_keypoints_3d`` (n, 21, 3), ``is_right``
(or right) (n,), ``frame`` (or frame_id) (n,) and perhaps ``pred_cam_t_full`` (or cam_t,
pred_cam_t) (n, 3), which is added. Left hands are as their demos draw them: x has been
turned back (WiLoR's demo and WiLoR-mini do; in HaMeR's model output it has not).
"""  # noqa: E501

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.layouts.frame_arrays import (
    as_integers,
    as_mask,
    as_numbers,
    as_shaped,
)
from mmfusion.layouts.landmarks.bodies import mediapipe_pose
from mmfusion.layouts.landmarks.frames_json import CAMERA_HANDS, ROOTED_HANDS
from mmfusion.layouts.landmarks.kinds import (
    BODY,
    IMAGE_HANDS,
    LEFT_RIGHT,
    LandmarkOptions,
    RawLandmarks,
    frames_between,
    places_of_sides,
    sides_of,
)
from mmfusion.layouts.one_hand import ONE_HAND
from mmfusion.utils.errors import InputError, SkeletonError
from mmfusion.utils.npz_file import read_npy, read_npz

MAX_BYTES = 2 * 2**30  # of one file, unpacked
KEYPOINTS = ("keypoint", "keypoints", "landmarks", "joints", "hands")
_SCORES = ("score", "scores", "confidence", "visibility")
_FRAMES = ("frame_id", "frame", "frames")
_SHIFTS = ("pred_cam_t_full", "cam_t", "pred_cam_t")
# numbers in a row -> (start and joints of the pose and how many numbers of each, left
# hand, right hand)
_HOLISTIC_ROWS = {
    126: ((0, 0, 0), 0, 63),
    225: ((0, 33, 3), 99, 162),
    226: ((0, 25, 4), 100, 163),
    258: ((0, 33, 4), 132, 195),
    1662: ((0, 33, 4), 1536, 1599),
    1692: ((0, 33, 4), 1566, 1629),
    1629: ((1467, 33, 3), 1404, 1566),
}


def read_npz_landmarks(path: Path, options: LandmarkOptions) -> RawLandmarks:
    """Landmarks of an npz.

    Raises:
        SkeletonError: it is no npz of plain arrays, or has no landmarks.
    """
    arrays = read_npz(str(path), max_bytes=MAX_BYTES, error=SkeletonError)
    try:
        if "pred_keypoints_3d" in arrays:
            return _unordered_hands(arrays, options)
        key = next((name for name in KEYPOINTS if name in arrays), None)
        if key is None:
            raise InputError(
                f"it holds {', '.join(arrays) or 'nothing'}; expected one of"
                f" {', '.join(KEYPOINTS)} or pred_keypoints_3d"
            )
        raw = from_array(as_numbers(arrays[key], key), options)
        is_cache = {"sequence", "frame_id", "fps"} <= arrays.keys()
        guess: dict[str, Any] = {}
        if is_cache and _like_mediapipe(raw.points):
            sides = LEFT_RIGHT if raw.points.shape[1] == 2 else [ONE_HAND]
            guess = {**IMAGE_HANDS, "hands": sides}
        return RawLandmarks(
            "skeleton cache" if is_cache else raw.kind,
            raw.skeleton or guess,
            raw.points,
            _score(arrays, raw) if raw.confidence is None else raw.confidence,
            arrays.get("valid", raw.valid),
            _first(arrays, _FRAMES),
            arrays.get("fps"),
        )
    except InputError as error:
        raise SkeletonError(str(path), str(error)) from None


def read_npy_landmarks(path: Path, options: LandmarkOptions) -> RawLandmarks:
    """Landmarks of an npy.

    Raises:
        SkeletonError: it is no npy of numbers, or of another shape.
    """
    array = read_npy(str(path), max_bytes=MAX_BYTES, error=SkeletonError)
    try:
        return from_array(as_numbers(array, "the array"), options)
    except InputError as error:
        raise SkeletonError(str(path), str(error)) from None


def _first(arrays: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((arrays[name] for name in names if name in arrays), None)


def _score(arrays: Mapping[str, Any], raw: RawLandmarks) -> np.ndarray | None:
    """Confidences (t, m) or (t, m, j), for a threshold; None where there are none."""
    found = _first(arrays, _SCORES)
    if found is None:
        return None
    score = as_numbers(found, "score")
    shape = raw.points.shape[:3]
    if score.shape == (shape[0], *shape[2:]) and shape[1] == 1:
        score = score[:, None]
    if score.shape not in (shape, shape[:2]):
        raise InputError(
            f"score has the shape {score.shape}; expected {shape[:2]} or {shape}"
        )
    return score


def from_array(array: np.ndarray, options: LandmarkOptions) -> RawLandmarks:
    """Landmarks of an array of numbers: (t, m, j, c), (t, j, c) or (t, n).

    Raises:
        InputError: the shape fits neither the options nor a known kind.
    """
    if array.ndim == 2 and not options.num_joints:
        if array.shape[1] not in _HOLISTIC_ROWS:
            raise InputError(
                f"it has {array.shape[1]} numbers in a row; expected --layout or"
                f" --joints, or one of MediaPipe Holistic's: {[*_HOLISTIC_ROWS]}"
            )
        return _holistic_rows(array, options)
    skeletons = len(options.names) if options.names else None
    if array.ndim == 2:
        array = _shaped(array, skeletons, options)
    elif array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4:
        raise InputError(
            f"its landmarks have the shape {array.shape}; expected (t, m, j, c), (t, j,"
            " c) for one skeleton, or (t, n)"
        )
    dims = options.dims or min(array.shape[-1], 3)
    extra = array[..., dims] if array.shape[-1] == dims + 1 else None
    if array.shape[-1] not in (dims, dims + 1) or dims not in (2, 3):
        raise InputError(
            f"its landmarks have {array.shape[-1]} numbers each; expected {dims}, or"
            f" {dims} and a confidence"
        )
    return RawLandmarks("array", {}, array[..., :dims], extra)


def _shaped(
    array: np.ndarray, skeletons: int | None, options: LandmarkOptions
) -> np.ndarray:
    """(t, n) as (t, m, j, c)."""
    joints, numbers = int(options.num_joints or 0), array.shape[1]
    dims = (options.dims, options.dims + 1) if options.dims else (2, 3, 4)
    for count in (skeletons,) if skeletons else (1, 2):
        each, rest = divmod(numbers, count * joints)
        if not rest and each in dims:
            return array.reshape(len(array), count, joints, each)
    raise InputError(
        f"it has {numbers} numbers in a row; expected {skeletons or '1 or 2'} skeletons"
        f" x {joints} joints x 2 or 3 numbers (one more for a confidence)"
    )


def _like_mediapipe(points: np.ndarray) -> bool:
    """True for one or two hands of 21 joints in fractions of the picture."""
    if points.shape[1:] not in ((1, 21, 3), (2, 21, 3)):
        return False
    plane = points[..., :2][np.isfinite(points[..., :2])]
    return bool(plane.size and plane.min() > -1 and plane.max() < 2)


def _holistic_rows(array: np.ndarray, options: LandmarkOptions) -> RawLandmarks:
    (start, joints, numbers), left, right = _HOLISTIC_ROWS[array.shape[1]]
    kind = "MediaPipe Holistic, rows of numbers"
    if options.names == BODY:
        if not joints:
            raise InputError("its rows have hands only, and a body is asked for")
        pose = array[:, start : start + joints * numbers]
        pose = pose.reshape(len(array), 1, joints, numbers)
        sure = pose[..., 3] if numbers == 4 else None
        return RawLandmarks(kind, mediapipe_pose(joints), pose[..., :3], sure)
    start_of = {"left": left, "right": right}
    starts = [start_of[side] for side in sides_of(options)]
    hands = [array[:, at : at + 63].reshape(-1, 21, 3) for at in starts]
    points = np.stack(hands, axis=1)
    return RawLandmarks(kind, IMAGE_HANDS, points)


def _unordered_hands(
    arrays: Mapping[str, np.ndarray], options: LandmarkOptions
) -> RawLandmarks:
    """Hands (n, 21, 3) of any frame and side, as (t, m, 21, 3)."""
    joints = as_numbers(arrays["pred_keypoints_3d"], "pred_keypoints_3d")
    if not joints.size:
        raise InputError("pred_keypoints_3d has no hand; expected one at least")
    count = len(joints) if joints.ndim else 1
    fits = (count, 21, 3), (count, 1, 21, 3)
    joints = as_shaped(joints, "pred_keypoints_3d", *fits)
    side, number = _first(arrays, ("is_right", "right")), _first(arrays, _FRAMES)
    if side is None or number is None:
        raise InputError(
            f"it holds {', '.join(arrays)}; expected 'is_right' and 'frame' of each"
            " hand of pred_keypoints_3d"
        )
    is_right = as_mask(np.asarray(side).reshape(-1), "is_right", (count,))
    frame = as_integers(number, "frame", count)
    shift = _first(arrays, _SHIFTS)
    if shift is not None:
        joints = joints + as_shaped(shift, "cam_t", (count, 1, 3), (count, 3))
    found = _first(arrays, _SCORES)
    score = np.ones(count)
    if found is not None:
        score = np.nan_to_num(as_shaped(found, "score", (count,), (count, 1)))
    names, place_of = places_of_sides(options)
    place = np.array([place_of.get(LEFT_RIGHT[right], -1) for right in is_right * 1])
    frame_id = frames_between(frame)
    row = np.searchsorted(frame_id, frame)
    points = np.full((len(frame_id), len(names), 21, 3), np.nan)
    sure = np.zeros(points.shape[:2])
    for hand in np.argsort(score, kind="stable").tolist():  # the surest comes last
        if place[hand] >= 0:
            points[row[hand], place[hand]] = joints[hand]
            sure[row[hand], place[hand]] = score[hand]
    skeleton = ROOTED_HANDS if shift is None else CAMERA_HANDS
    return RawLandmarks(
        "WiLoR or HaMeR, arrays", skeleton, points, sure, frame_id=frame_id
    )
