"""Hand and object boxes: published detections and csv files, as box caches.

The detections of epic-kitchens-100-hand-object-bboxes (Shan et al., CVPR 2020, run on
EPIC-KITCHENS-100) are one pickle a video: a list with, for each frame, the bytes of a
protobuf message. Fields: 1 video, 2 frame number, 3 hands, 4 objects; of a hand: 1 box,
2 score, 5 side (0 left, 1 right); of an object: 1 box, 2 score; of a box: left, top,
right, bottom as fractions of the picture. Bytes are read here, no code of theirs runs.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmfusion.layouts.box_arrays import BoxFile, checked_boxes
from mmfusion.layouts.csv_rows import read_rows
from mmfusion.layouts.epic_kitchens import index_fps
from mmfusion.utils.errors import AnnotationError, BoxError, InputError
from mmfusion.utils.safe_pickle import safe_load
from mmfusion.utils.schema import shown

HANDS = ("left hand", "right hand")
CSV_COLUMNS = ("video_id", "frame", "name", "x1", "y1", "x2", "y2")
_MAX_FRAME = 2**31
_CORNER = re.compile(r"\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*")  # float() takes more
_FRAME = re.compile(r"[0-9]{1,9}")
_NAME = re.compile(r"[\w.-]{1,200}")  # of a video: that of its cache, too
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
Row = tuple[int, str, float, float, float, float]


class Detection(NamedTuple):
    """One box of one frame.

    Attributes:
        name: ``left hand``, ``right hand`` or ``object``.
        score: 0..1.
        box: x1 y1 x2 y2 in 0..1.
    """

    name: str
    score: float
    box: tuple[float, float, float, float]


def parse_message(data: bytes) -> dict[int, list[Any]]:
    """The fields of a protobuf message by number: int, float or bytes, in order.

    Raises:
        ValueError: it is cut, or has a wire type that is not in use.
    """
    found: dict[int, list[Any]] = {}
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, kind = tag >> 3, tag & 7
        value: Any
        if kind == _VARINT:
            value, place = _varint(data, place)
        elif kind == _BYTES:
            length, place = _varint(data, place)
            value, place = data[place : place + length], place + length
        elif kind in (_FIXED32, _FIXED64):
            length, form = (4, "<f") if kind == _FIXED32 else (8, "<d")
            if place + length > len(data):
                raise InputError("the message is cut")
            value, place = struct.unpack_from(form, data, place)[0], place + length
        else:
            raise InputError(f"wire type {kind}; expected 0, 1, 2 or 5")
        if place > len(data):
            raise InputError("the message is cut")
        found.setdefault(number, []).append(value)
    return found


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise InputError("the message is cut")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise InputError("a number of more than 64 bits")


def parse_frame(data: bytes) -> tuple[str, int, list[Detection]]:
    """Video, frame number and detections of one message.

    Raises:
        ValueError: it is no message of detections.
    """
    message = parse_message(data)
    video = _one(message, 1, b"", bytes).decode("utf-8", "replace")
    number = _one(message, 2, 0, int)
    found = []
    for field, is_hand in ((3, True), (4, False)):
        for part in message.get(field, ()):
            if not isinstance(part, bytes):
                raise InputError(f"field {field} is no message")
            fields = parse_message(part)
            side = _one(fields, 5, 0, int) if is_hand else 0
            if side not in (0, 1):
                raise InputError(f"the side of a hand is {side}; expected 0 or 1")
            corners = parse_message(_one(fields, 1, b"", bytes))
            # a field that is 0 is not written
            box = tuple(_one(corners, place, 0.0, float) for place in (1, 2, 3, 4))
            name = HANDS[side] if is_hand else "object"
            score = _one(fields, 2, 0.0, float)
            found.append(Detection(name, score, box))  # type: ignore[arg-type]
    return video, number, found


def _one(message: Mapping[int, list[Any]], field: int, default: Any, kind: type) -> Any:
    value = message.get(field, [default])[-1]
    if not isinstance(value, kind):
        raise InputError(f"field {field} is {type(value).__name__}, not {kind}")
    return value


def read_detections(
    path: Path,
    *,
    num_objects: int = 2,
    hand_threshold: float = 0.5,
    object_threshold: float = 0.5,
) -> BoxFile:
    """The box cache of one video from its pickle of detections.

    Places are the left hand, the right hand, then ``num_objects`` objects; of each the
    detections with the highest scores are taken.

    Args:
        path: ``<video>.pkl``; nothing in it is run.
        num_objects: objects a frame.
        hand_threshold, object_threshold: least score; 0.5 is what the authors advise.

    Raises:
        BoxError: it is no list of such messages, or of another video.
    """
    try:
        content = safe_load(str(path))
    except (OSError, ValueError) as error:
        raise BoxError(str(path), str(error)) from error
    if not isinstance(content, list):
        reason = f"it holds {shown(content)}; expected a list of bytes, one a frame"
        raise BoxError(str(path), reason)
    rows: list[Row] = []
    frames = []
    for place, data in enumerate(content):
        try:
            if not isinstance(data, bytes):
                raise InputError(f"it is {shown(data)}; expected a list of bytes")
            video, number, found = parse_frame(data)
            if number >= _MAX_FRAME:
                raise InputError(f"it has the frame number {number}")
            # files of frames count from 1; the first of them shows at 0 seconds
            frame = max(0, number - 1)
            rows += _best(frame, found, num_objects, hand_threshold, object_threshold)
        except ValueError as error:
            raise BoxError(str(path), f"frame {place} of the list: {error}") from None
        if video and video != path.stem:
            raise BoxError(str(path), f"frame {place} is of the video {shown(video)}")
        frames.append(frame)
    if not rows:
        raise BoxError(str(path), "no box is above the thresholds")
    names = (*HANDS, *_object_names(num_objects))
    try:
        return boxes_of_rows(
            rows,
            names=names,
            fps=index_fps(path.stem),
            sequence=path.stem,
            frames=frames,
        )
    except InputError as error:
        raise BoxError(str(path), str(error)) from None


def _object_names(count: int) -> list[str]:
    return ["object", *(f"object {number}" for number in range(2, count + 1))][:count]


def _best(
    frame: int,
    found: Iterable[Detection],
    num_objects: int,
    hand_threshold: float,
    object_threshold: float,
) -> Iterator[Row]:
    """The rows of one frame: the best of each hand, the best objects."""
    ranked = sorted(found, key=lambda one: -one.score)
    for name in HANDS:
        hands = [d for d in ranked if d.name == name and d.score >= hand_threshold]
        if hands:
            yield (frame, name, *_inside(hands[0].box))
    objects = [d for d in ranked if d.name == "object" and d.score >= object_threshold]
    for name, one in zip(_object_names(num_objects), objects, strict=False):
        yield (frame, name, *_inside(one.box))


def _inside(box: tuple[float, ...]) -> tuple[float, float, float, float]:
    """The box within the picture, its corners in order.

    Raises:
        InputError: it is no box in fractions of the picture.
    """
    if not all(-1 <= corner <= 2 for corner in box):  # NaN is not
        raise InputError(f"a box is {box}; expected fractions of the picture")
    x1, y1, x2, y2 = (float(v) for v in np.clip(box, 0, 1))
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def read_box_csv(path: Path, fps: float | None = None) -> dict[str, BoxFile]:
    """Box caches by video from a csv file with the columns of CSV_COLUMNS.

    Args:
        path: one row per box; ``frame`` counts from 0, corners are fractions.
        fps: of the frame numbers; None is 60, in the extension 50.

    Raises:
        BoxError: a row is wrong; names file and line.
    """
    try:
        rows = read_rows(path)
    except AnnotationError as error:
        raise BoxError(str(error)) from None
    if not rows or tuple(rows[0][1]) != CSV_COLUMNS:
        raise BoxError(f"{path}:1", f"the header is not {','.join(CSV_COLUMNS)}")
    by_video: dict[str, list[Row]] = {}
    places: dict[tuple[str, int, str], str] = {}
    names: dict[str, None] = dict.fromkeys(HANDS)
    for place, row in rows[1:]:
        try:
            video, number, name, *corners = row
            x1, y1, x2, y2 = (_corner(text) for text in corners)
        except ValueError as error:
            reason = f"{error!s:.200}; expected {', '.join(CSV_COLUMNS)}"
            raise BoxError(place, reason) from None
        if not (0 <= x1 <= x2 <= 1 and 0 <= y1 <= y2 <= 1):
            reason = f"the box is {shown(corners)}; expected corners in 0..1, in order"
            raise BoxError(place, reason)
        is_name = name.isprintable() and name.strip() == name != ""
        if not (_FRAME.fullmatch(number) and _NAME.fullmatch(video) and is_name):
            reason = (
                f"video_id, frame and name are {shown(row[:3])}; expected a name, a"
                " whole number and a name"
            )
            raise BoxError(place, reason)
        spot = video, int(number), name
        if spot in places:
            reason = f"{name!r:.80} of this frame comes twice, first in {places[spot]}"
            raise BoxError(place, reason)
        places[spot] = place
        names.setdefault(name)
        by_video.setdefault(video, []).append((int(number), name, x1, y1, x2, y2))
    caches = {}
    for video, found in by_video.items():
        try:
            caches[video] = boxes_of_rows(
                found, names=list(names), fps=fps or index_fps(video), sequence=video
            )
        except ValueError as error:
            raise BoxError(str(path), f"video {video!r}: {error}") from None
    return caches


def boxes_of_rows(
    rows: Sequence[tuple[int, str, float, float, float, float]],
    *,
    names: Sequence[str],
    fps: float,
    sequence: str,
    frames: Iterable[int] = (),
) -> BoxFile:
    """The boxes of one video from rows (frame, name, x1, y1, x2, y2).

    Args:
        rows: one a box.
        names: what each place of a frame holds.
        fps, sequence: see :class:`BoxFile`.
        frames: further frames, which were looked at and have no box.

    Raises:
        ValueError: a name is not one of ``names``, a place is taken twice, or the boxes
            are not what :mod:`mmfusion.layouts.box_arrays` expects.
    """
    looked_at = sorted({row[0] for row in rows} | set(frames))
    place = {frame: number for number, frame in enumerate(looked_at)}
    column = {name: number for number, name in enumerate(names)}
    boxes = np.zeros((len(looked_at), len(names), 4), np.float32)
    valid = np.zeros((len(looked_at), len(names)), bool)
    for frame, name, *corners in rows:
        if name not in column:
            raise InputError(f"frame {frame}: name is {name!r}; expected {list(names)}")
        spot = place[frame], column[name]
        if valid[spot]:
            raise InputError(f"frame {frame}: {name!r} comes twice")
        boxes[spot], valid[spot] = corners, True
    return checked_boxes(
        {
            "boxes": boxes,
            "valid": valid,
            "frame_id": np.array(looked_at),
            "fps": fps,
            "sequence": sequence,
            "names": list(names),
        }
    )


def _corner(text: str) -> float:
    if not _CORNER.fullmatch(text):
        raise InputError(f"a corner is {shown(text)}")
    return float(text)
