"""Landmarks in JSON, an entry for each frame: MediaPipe, WiLoR, OpenPose.

| kind | an entry |
|---|---|
| MediaPipe Tasks | ``{"hand_landmarks": [[{"x": ..}, ..]], "handedness": [[{"category_name": "Left", "score": ..}]]}`` |
| MediaPipe Holistic | ``{"left_hand_landmarks": [..] or null, "right_hand_landmarks": [..], "pose_landmarks": [..]}`` |
| WiLoR-mini | ``[{"is_right": 1, "wilor_preds": {"pred_keypoints_3d": [..], "pred_cam_t_full": [..]}}, ..]`` |
| OpenPose | a file ``*_keypoints.json`` in a folder: ``{"people": [{"hand_left_keypoints_2d": [..]}]}`` |

Entries stand in a list, or in the list ``frames`` of an object that may say ``fps``. An
entry may say its ``frame`` number or its ``timestamp_ms``. Names in camelCase, as
JavaScript and protobuf write them, are read too. A side is what the file calls it: the
older MediaPipe means a mirrored picture, for which ``swap_hands`` is there.
"""  # noqa: E501

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from mmfusion.layouts.frame_arrays import as_mask, as_shaped
from mmfusion.layouts.landmarks.bodies import mediapipe_pose, openpose_body25
from mmfusion.layouts.landmarks.kinds import (
    BODY,
    IMAGE_HANDS,
    LEFT_RIGHT,
    LandmarkOptions,
    RawLandmarks,
    places_of_sides,
    sides_of,
)
from mmfusion.utils.errors import InputError, SkeletonError
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import read_json

OPENPOSE_FILES = "*_keypoints.json"
CAMERA_HANDS: dict[str, Any] = {
    "layout": "openpose21",
    "hands": LEFT_RIGHT,
    "unit": "m",
    "frame": "camera",
}
# joints of every hand about its own root, where no camera translation is given
ROOTED_HANDS = {**CAMERA_HANDS, "frame": "hand"}
PIXEL_HANDS = {**CAMERA_HANDS, "unit": "px", "frame": "image"}
_NUMBER = re.compile(r"(\d+)_keypoints\.json$")
_MS = 1000.0  # frame numbers a second where frames have a time stamp
_HOLISTIC = {"left_hand_landmarks", "right_hand_landmarks", "pose_landmarks"}


def read_frames_json(path: Path, options: LandmarkOptions) -> RawLandmarks:
    """Landmarks of a JSON file, an entry for each frame.

    Raises:
        SkeletonError: it is of no kind above; names the frame.
    """
    content = read_json(path, error_type=SkeletonError)
    fps = None
    if isinstance(content, dict):
        fps, content = content.get("fps"), content.get("frames")
    if not isinstance(content, list) or not content:
        raise SkeletonError(
            str(path),
            f"it holds {shown(content)}; expected a list with an entry for each frame,"
            " or an object with that list as 'frames'",
        )
    try:
        entries = [_snake(entry) for entry in content]
        reader = _reader_of(entries)
        raw = reader(entries, options)
        frame_id, stamped = _moments(entries)
    except InputError as error:
        raise SkeletonError(str(path), str(error)) from None
    if frame_id is not None:
        raw = _replaced(raw, frame_id=frame_id)
    return _replaced(raw, fps=_MS if stamped else fps)


def is_number(value: Any) -> TypeGuard[float]:
    """Tell whether a value of JSON is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_number(value: Any, name: str) -> float:
    """A value of JSON that must be a number."""
    if not is_number(value):
        raise InputError(f"{name} is {shown(value)}; expected a number")
    return value


def as_object(value: Any, name: str) -> dict[str, Any]:
    """A value of JSON that must be an object; null is an empty one."""
    if value is not None and not isinstance(value, dict):
        raise InputError(f"{name} is {shown(value)}; expected an object")
    return value or {}


def as_list(value: Any, name: str) -> list[Any]:
    """A value of JSON that must be a list; null is an empty one."""
    if value is not None and not isinstance(value, list):
        raise InputError(f"{name} is {shown(value)}; expected a list")
    return value or []


def _replaced(raw: RawLandmarks, **changes: Any) -> RawLandmarks:
    return RawLandmarks(**{**raw.__dict__, **changes})


def _snake(entry: Any) -> Any:
    """An entry with its keys in snake_case."""
    if not isinstance(entry, dict):
        return entry
    return {re.sub(r"(?<!^)([A-Z])", r"_\1", k).lower(): v for k, v in entry.items()}


def _reader_of(entries: Sequence[Any]) -> Any:
    for entry in entries:
        if isinstance(entry, dict) and _HOLISTIC & entry.keys():
            return _holistic
        if isinstance(entry, dict) and {"hand_landmarks", "landmarks"} & entry.keys():
            return _tasks
        if isinstance(entry, list) and entry and isinstance(entry[0], dict):
            return _wilor
    raise InputError(
        f"frame 0 is {shown(entries[0])}; expected 'hand_landmarks' (MediaPipe Tasks),"
        " 'left_hand_landmarks' (Holistic) or a list of hands with 'is_right' (WiLoR)"
    )


def _moments(entries: Sequence[Any]) -> tuple[list[int] | None, bool]:
    """Frame numbers, where the entries say them; True where they are milliseconds."""
    for key, stamped in (("frame", False), ("timestamp_ms", True)):
        if not any(isinstance(entry, dict) and key in entry for entry in entries):
            continue
        found = []
        for place, entry in enumerate(entries):
            said = entry.get(key) if isinstance(entry, dict) else None
            number = as_number(said, f"frame {place}: {key}")
            if not stamped and number != round(number):
                raise InputError(f"frame {place}: {key} is {number}; expected a whole")
            found.append(round(number))
        return found, stamped
    return None, False


def _points(value: Any, place: str) -> list[list[float]] | None:
    """Landmarks as [[x, y, z, visibility or 1], ...]; None where there are none."""
    if isinstance(value, dict) and "landmark" in value:
        value = value["landmark"]
    if value is None or value == []:
        return None
    found = []
    for number, one in enumerate(value if isinstance(value, list) else [value]):
        if isinstance(one, dict):
            one = [one.get("x"), one.get("y"), one.get("z", 0.0), one.get("visibility")]
            one[3] = 1.0 if one[3] is None else one[3]
        if (
            not isinstance(one, list)
            or len(one) not in (2, 3, 4)
            or not all(is_number(n) for n in one)
        ):
            raise InputError(
                f"{place}, landmark {number} is {shown(one)}; expected x, y and z"
            )
        found.append([*one, *[0.0, 1.0][len(one) - 2 :]])
    return found


def _filled(
    rows: Sequence[Sequence[tuple[list[list[float]] | None, float]]], joints: int
) -> tuple[np.ndarray, np.ndarray]:
    """(t, m, j, 3) numbers, NaN where there are none, and (t, m, j) confidences.

    A row has, for each skeleton, its landmarks or None, and how sure that is.
    """
    points = np.full((len(rows), len(rows[0]), joints, 3), np.nan)
    sure = np.zeros(points.shape[:3])
    for frame, row in enumerate(rows):
        for place, (found, score) in enumerate(row):
            if found is None:
                continue
            if len(found) != joints:
                raise InputError(
                    f"frame {frame} has {len(found)} landmarks; expected {joints}"
                )
            array = np.asarray(found)
            points[frame, place] = array[:, :3]
            sure[frame, place] = array[:, 3] * score
    return points, sure


def _holistic(entries: Sequence[Any], options: LandmarkOptions) -> RawLandmarks:
    body = options.names == BODY
    sides = [] if body else sides_of(options)
    keys = ["pose_landmarks"] if body else [f"{h}_hand_landmarks" for h in sides]
    rows = []
    for frame, entry in enumerate(entries):
        place = f"frame {frame}"
        entry = as_object(entry, place)
        rows.append([(_points(entry.get(key), place), 1.0) for key in keys])
    joints = 33 if body else 21
    points, sure = _filled(rows, joints)
    skeleton = mediapipe_pose() if body else IMAGE_HANDS
    return RawLandmarks("MediaPipe Holistic, json", skeleton, points, sure)


def _tasks(entries: Sequence[Any], options: LandmarkOptions) -> RawLandmarks:
    rows = []
    for frame, entry in enumerate(entries):
        place = f"frame {frame}"
        entry = as_object(entry, place)
        hands, sides = (
            as_list(entry.get(key), f"{place}: {key}")
            for key in (
                "hand_landmarks" if "hand_landmarks" in entry else "landmarks",
                "handedness" if "handedness" in entry else "handednesses",
            )
        )
        if len(sides) != len(hands):
            raise InputError(
                f"{place} has {len(hands)} hands and {len(sides)} 'handedness';"
                " expected one for each hand"
            )
        found = []
        for hand, side in zip(hands, sides, strict=True):
            name, score = _side_of(side, place)
            found.append((_points(hand, place), name, score))
        rows.append(_placed(found, options))
    points, sure = _filled(rows, 21)
    return RawLandmarks("MediaPipe Tasks, json", IMAGE_HANDS, points, sure)


def _side_of(side: Any, place: str) -> tuple[str, float]:
    """``left`` or ``right``, and how sure that is."""
    if isinstance(side, list) and side:
        side = side[0]
    side = _snake(side)
    name = side if isinstance(side, str) else None
    score: Any = 1.0
    if isinstance(side, Mapping):
        name = side.get("category_name", side.get("display_name"))
        score = side.get("score", 1.0)
    if str(name).lower() not in LEFT_RIGHT or not is_number(score):
        raise InputError(
            f"{place}: handedness is {shown(side)}; expected a category_name 'Left' or"
            " 'Right', and a score"
        )
    return str(name).lower(), float(score)


def _placed(
    found: Sequence[tuple[Any, str, float]], options: LandmarkOptions
) -> list[tuple[Any, float]]:
    """For each skeleton the surest hand of those that have their place there."""
    names, place_of = places_of_sides(options)
    row: list[tuple[Any, float]] = []
    for place in range(len(names)):
        own = [
            (points, score)
            for points, side, score in found
            if place_of.get(side) == place
        ]
        row.append(max(own, key=lambda one: one[1], default=(None, 0.0)))
    return row


def _wilor(entries: Sequence[Any], options: LandmarkOptions) -> RawLandmarks:
    rows, moved = [], set()
    for frame, entry in enumerate(entries):
        found = []
        place = f"frame {frame}"
        for hand in as_list(entry, place):
            hand = as_object(hand, f"{place}: a hand")
            preds = as_object(hand.get("wilor_preds", hand), f"{place}: wilor_preds")
            if "pred_keypoints_3d" not in preds or "is_right" not in hand:
                raise InputError(
                    f"{place} has {shown(hand)}; expected 'is_right' and"
                    " 'pred_keypoints_3d'"
                )
            name = f"{place}: pred_keypoints_3d"
            joints = as_shaped(preds["pred_keypoints_3d"], name, (21, 3), (1, 21, 3))
            shift = preds.get("pred_cam_t_full", preds.get("cam_t"))
            moved.add(shift is not None)
            if shift is not None:
                name = f"{place}: pred_cam_t_full"
                joints = joints + as_shaped(shift, name, (3,), (1, 3))
            right = bool(as_mask(hand["is_right"], f"{place}: is_right", ()))
            score = as_number(hand.get("score", 1.0), f"{place}: score")
            hand_points = [[*one, 1.0] for one in joints.tolist()]
            found.append((hand_points, LEFT_RIGHT[right], score))
        rows.append(_placed(found, options))
    if len(moved) > 1:
        raise InputError("some hands have 'pred_cam_t_full' and some not")
    points, sure = _filled(rows, 21)
    skeleton = CAMERA_HANDS if moved == {True} else ROOTED_HANDS
    return RawLandmarks("WiLoR, json", skeleton, points, sure)


def read_openpose(folder: Path, options: LandmarkOptions) -> RawLandmarks:
    """Landmarks of a folder of OpenPose's files, one a frame.

    Of several people the one with the highest confidences is taken. A landmark of
    confidence 0 was not found.

    Raises:
        SkeletonError: a file is none of OpenPose's, or has no number.
    """
    files = _numbered(folder)
    body = options.names == BODY
    try:
        keys = ["pose"] if body else [f"hand_{side}" for side in sides_of(options)]
    except InputError as error:
        raise SkeletonError(str(folder), str(error)) from None
    joints, rows = (25 if body else 21), []
    for _, path in files:
        content = read_json(path, error_type=SkeletonError)
        people = content.get("people") if isinstance(content, dict) else None
        if not isinstance(people, list):
            raise SkeletonError(
                str(path), f"it holds {shown(content)}; expected OpenPose's 'people'"
            )
        try:
            rows.append(_openpose_row(people, keys, joints))
        except InputError as error:
            raise SkeletonError(str(path), str(error)) from None
    points = np.stack([points for points, _ in rows])
    sure = np.stack([sure for _, sure in rows])
    skeleton = openpose_body25() if body else PIXEL_HANDS
    numbers = [number for number, _ in files]
    return RawLandmarks("OpenPose, json", skeleton, points, sure, frame_id=numbers)


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """OpenPose's files in the order of the numbers in their names."""
    names = sorted(path.name for path in folder.glob(OPENPOSE_FILES))
    if not names:
        raise SkeletonError(str(folder), f"it has no {OPENPOSE_FILES}")
    found = [_NUMBER.search(name) for name in names]
    if not any(found):
        return [(place, folder / name) for place, name in enumerate(names)]
    if not all(found):
        raise SkeletonError(
            str(folder),
            f"{names[found.index(None)]} has no number; expected one in each name, as"
            " clip_000000000012_keypoints.json",
        )
    return sorted((int(one[1]), folder / one.string) for one in found if one)


def _openpose_row(
    people: Sequence[Any], keys: Sequence[str], joints: int
) -> tuple[np.ndarray, np.ndarray]:
    """(m, j, 2) pixels and (m, j) confidences of the surest person of a frame."""
    best = np.zeros((len(keys), joints, 3))
    for person in people:
        parts = []
        for key in keys:
            flat = as_object(person, "one of its people").get(f"{key}_keypoints_2d")
            array = np.zeros(3 * joints) if flat in (None, []) else flat
            name = f"{key}_keypoints_2d (x, y, confidence)"
            parts.append(as_shaped(array, name, (joints, 3), (3 * joints,)))
        if np.stack(parts)[..., 2].sum() > best[..., 2].sum():
            best = np.stack(parts)
    return best[..., :2], best[..., 2]
