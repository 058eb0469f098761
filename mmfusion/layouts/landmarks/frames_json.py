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
from typing import Any

import numpy as np

from mmfusion.layouts.landmarks.bodies import mediapipe_pose, openpose_body25
from mmfusion.layouts.landmarks.kinds import (
    BODY,
    IMAGE_HANDS,
    LEFT_RIGHT,
    LandmarkOptions,
    RawLandmarks,
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
        found = [e.get(key) if isinstance(e, dict) else None for e in entries]
        if all(isinstance(one, int | float) for one in found):
            return [round(one) for one in found], stamped  # type: ignore[arg-type]
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
            or not all(isinstance(n, int | float) for n in one)
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
    keys = ["pose_landmarks"] if body else [f"{h}_hand_landmarks" for h in LEFT_RIGHT]
    rows = []
    for frame, entry in enumerate(entries):
        if entry is not None and not isinstance(entry, dict):
            raise InputError(f"frame {frame} is {shown(entry)}; expected an object")
        entry = entry or {}
        place = f"frame {frame}"
        rows.append([(_points(entry.get(key), place), 1.0) for key in keys])
    joints = 33 if body else 21
    points, sure = _filled(rows, joints)
    skeleton = mediapipe_pose() if body else IMAGE_HANDS
    return RawLandmarks("MediaPipe Holistic, json", skeleton, points, sure)


def _tasks(entries: Sequence[Any], options: LandmarkOptions) -> RawLandmarks:
    names = options.names or LEFT_RIGHT
    rows = []
    for frame, entry in enumerate(entries):
        place = f"frame {frame}"
        if entry is not None and not isinstance(entry, dict):
            raise InputError(f"{place} is {shown(entry)}; expected an object")
        entry = entry or {}
        hands = entry.get("hand_landmarks", entry.get("landmarks")) or []
        sides = entry.get("handedness", entry.get("handednesses")) or []
        if len(sides) != len(hands):
            raise InputError(
                f"{place} has {len(hands)} hands and {len(sides)} 'handedness';"
                " expected one for each hand"
            )
        found = []
        for hand, side in zip(hands, sides, strict=True):
            name, score = _side_of(side, place)
            found.append((_points(hand, place), name, score))
        rows.append(_placed(found, names))
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
    if str(name).lower() not in LEFT_RIGHT or not isinstance(score, int | float):
        raise InputError(
            f"{place}: handedness is {shown(side)}; expected a category_name 'Left' or"
            " 'Right', and a score"
        )
    return str(name).lower(), float(score)


def _placed(
    found: Sequence[tuple[Any, str, float]], names: Sequence[str]
) -> list[tuple[Any, float]]:
    """For each skeleton the surest of its side; of one skeleton, of all."""
    row: list[tuple[Any, float]] = []
    for name in names:
        own = [
            (points, score)
            for points, side, score in found
            if side == name or len(names) == 1
        ]
        row.append(max(own, key=lambda one: one[1], default=(None, 0.0)))
    return row


def _wilor(entries: Sequence[Any], options: LandmarkOptions) -> RawLandmarks:
    names = options.names or LEFT_RIGHT
    rows, moved = [], set()
    for frame, entry in enumerate(entries):
        found = []
        for hand in entry or []:
            place = f"frame {frame}"
            preds = hand.get("wilor_preds", hand) if isinstance(hand, dict) else None
            if not isinstance(preds, dict) or "pred_keypoints_3d" not in preds:
                raise InputError(
                    f"{place} has {shown(hand)}; expected 'is_right' and"
                    " 'pred_keypoints_3d'"
                )
            try:
                joints = np.asarray(preds["pred_keypoints_3d"], float).reshape(-1, 3)
                shift = preds.get("pred_cam_t_full", preds.get("cam_t"))
                moved.add(shift is not None)
                if shift is not None:
                    joints = joints + np.asarray(shift, float).reshape(3)
                side = LEFT_RIGHT[bool(float(hand["is_right"]) >= 0.5)]
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{place}: not a hand of WiLoR: {error!r}") from None
            score = float(hand.get("score", 1.0))
            found.append(([[*one, 1.0] for one in joints.tolist()], side, score))
        rows.append(_placed(found, names))
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
    files = sorted(folder.glob(OPENPOSE_FILES))
    if not files:
        raise SkeletonError(str(folder), f"it has no {OPENPOSE_FILES}")
    body = options.names == BODY
    keys = ["pose"] if body else ["hand_left", "hand_right"]
    joints, rows, numbers = (25 if body else 21), [], []
    for place, path in enumerate(files):
        named = _NUMBER.search(path.name)
        numbers.append(int(named[1]) if named else place)
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
    return RawLandmarks("OpenPose, json", skeleton, points, sure, frame_id=numbers)


def _openpose_row(
    people: Sequence[Any], keys: Sequence[str], joints: int
) -> tuple[np.ndarray, np.ndarray]:
    """(m, j, 2) pixels and (m, j) confidences of the surest person of a frame."""
    best = np.zeros((len(keys), joints, 3))
    for person in people:
        parts = []
        for key in keys:
            flat = person.get(f"{key}_keypoints_2d") if isinstance(person, dict) else 0
            try:
                array = np.asarray(flat or np.zeros(3 * joints), float)
                parts.append(array.reshape(joints, 3))
            except (TypeError, ValueError):
                raise InputError(
                    f"{key}_keypoints_2d is {shown(flat)}; expected {joints} times x,"
                    " y, confidence"
                ) from None
        if np.stack(parts)[..., 2].sum() > best[..., 2].sum():
            best = np.stack(parts)
    return best[..., :2], best[..., 2]
