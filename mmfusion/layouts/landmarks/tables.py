"""Landmarks in csv files: a row for each frame, or for each landmark.

A row for each frame has a column for each number, named by its landmark and its axis
(``left_wrist_x, left_wrist_y, ..``, or ``x0, y0, z0, ..``), and perhaps ``frame`` or
``timestamp_ms``. Columns of an axis c, conf, score or visibility are confidences. Where
the names of all columns begin with the skeletons' names, these say whose they are.
Landmarks with numbers stand in the order of these, with the names of the joints in the
order of the joints, and others in that of the file, the same for each skeleton.

A row for each landmark has the columns ``frame, hand, joint, x, y[, z][, score]``; hand
is a skeleton's name, joint a number from 0 or a name of ``joints``.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.layouts.csv_rows import read_rows
from mmfusion.layouts.hand_layouts import layout_of
from mmfusion.layouts.landmarks.kinds import (
    BODY,
    LEFT_RIGHT,
    LandmarkOptions,
    RawLandmarks,
    frames_between,
)
from mmfusion.utils.errors import AnnotationError, InputError, SkeletonError
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import read_lines

_AXES = {
    **{axis: place for place, axis in enumerate("xyz")},
    **dict.fromkeys(("c", "conf", "confidence", "score", "visibility", "v"), 3),
}
_AXIS = "|".join(sorted(_AXES, key=len, reverse=True))
_BEHIND = re.compile(rf"(.*?)[_. -]?({_AXIS})")
_BEFORE = re.compile(rf"({_AXIS})[_. -]?(.*)")
_TIMES = {"frame": None, "frame_id": None, "timestamp_ms": 1000.0, "time_ms": 1000.0}
_LONG = {
    **dict.fromkeys(("hand", "side", "skeleton", "handedness"), "hand"),
    **dict.fromkeys(("joint", "landmark", "keypoint"), "joint"),
    **dict.fromkeys(("frame", "frame_id"), "frame"),
}
_NUMBERED = re.compile(r"([^0-9]*)([0-9]{1,9})")
_MOST_NUMBERS = 1 << 28  # of the array that the rows of a long form ask for


def read_table(path: Path, options: LandmarkOptions) -> RawLandmarks:
    """Landmarks of a csv.

    Raises:
        SkeletonError: names the file and the line.
    """
    try:
        _, head = next(iter(read_lines(path)), (1, ""))
        rows = read_rows(path, max(",;\t", key=head.count))
        rows = [(place, cells) for place, cells in rows if any(map(str.strip, cells))]
        if len(rows) < 2:
            raise InputError("it has no row of numbers; expected a header, then rows")
        names = [name.strip().lower() for name in rows[0][1]]
        for place, cells in rows:
            if len(cells) != len(names):
                raise InputError(f"{place}: {len(cells)} columns and not {len(names)}")
        known = {_LONG.get(name, name) for name in names}
        if {"frame", "joint", "x", "y"} <= known:
            return _long(names, rows[1:], options)
        return _wide(names, rows, options)
    except (InputError, AnnotationError) as error:
        raise SkeletonError(str(path), str(error)) from None


def _number(place: str, name: str, text: str) -> float:
    text = text.strip()
    try:
        return float(text) if text else float("nan")
    except ValueError:
        raise InputError(
            f"{place}: {name} is {shown(text)}; expected a number, or nothing where the"
            " landmark is not seen"
        ) from None


def _wide(
    names: Sequence[str],
    rows: Sequence[tuple[str, list[str]]],
    options: LandmarkOptions,
) -> RawLandmarks:
    moment = next((place for place, name in enumerate(names) if name in _TIMES), None)
    columns = [place for place in range(len(names)) if place != moment]
    keys = [_key(names[place]) for place in columns]
    numbers = np.array(
        [
            [_number(place, names[column], cells[column]) for column in columns]
            for place, cells in rows[1:]
        ]
    )
    order = [*dict.fromkeys(key for key, _ in keys)]
    axes = {axis for _, axis in keys}
    each_once = len({*keys}) == len(keys) == len(order) * len(axes)
    if not {0, 1} <= axes or not each_once:
        raise InputError(
            f"its header is {shown([*names])}; expected columns of x, y and perhaps z"
            " and a confidence of each landmark, such as wrist_x, wrist_y"
        )
    order, skeletons = _by_skeleton(order, options)
    flat = np.full((len(numbers), len(order), 4), np.nan)
    for column, (key, axis) in enumerate(keys):
        flat[:, order.index(key), axis] = numbers[:, column]
    points = flat.reshape(len(numbers), skeletons, -1, 4)
    dims = 3 if 2 in axes else 2
    frame_id, fps = None, None
    if moment is not None:
        found = [
            _number(place, names[moment], cells[moment]) for place, cells in rows[1:]
        ]
        frame_id = _whole(found, names[moment])
        fps = _TIMES[names[moment]]
    sure = np.nan_to_num(points[..., 3]) if 3 in axes else None
    return RawLandmarks(
        "csv, a row a frame", {}, points[..., :dims], sure, None, frame_id, fps
    )


def _key(name: str) -> tuple[str, int]:
    """A column's landmark and the place of its axis."""
    found = _BEHIND.fullmatch(name)
    if found:
        return found[1], _AXES[found[2]]
    found = _BEFORE.fullmatch(name)
    if found:
        return found[2], _AXES[found[1]]
    raise InputError(
        f"1: the column {name!r} has no axis; expected a name such as wrist_x, or one"
        f" of {', '.join(_TIMES)}"
    )


def _by_skeleton(keys: list[str], options: LandmarkOptions) -> tuple[list[str], int]:
    """Landmarks in the order of skeletons and joints, and how many skeletons there are.

    Joints with names are put in the order of the names, and numbers in their own.
    """
    names = options.names or LEFT_RIGHT
    joints = _joint_names(options)
    if joints and {*keys} == {*joints} and len(options.names or BODY) == 1:
        return joints, 1  # left_hip, right_hip: one body and no two skeletons
    groups = [
        {key[len(name) :].strip("_. -"): key for key in keys if key.startswith(name)}
        for name in map(str.lower, names)
    ]
    if len(names) > 1 and sum(map(len, groups)) == len(keys):
        order = _in_order([*groups[0]], joints, options)
        for name, group in zip(names, groups, strict=True):
            if {*group} != {*order}:
                raise InputError(
                    f"it has the landmarks {shown([*group])} of {name!r} and"
                    f" {shown(order)} of {names[0]!r}; expected the same of each"
                )
        return [group[joint] for group in groups for joint in order], len(names)
    count = len(options.names) if options.names else 1
    if options.num_joints:
        count = max(1, len(keys) // options.num_joints)
    if len(keys) % count or options.num_joints not in (None, len(keys) // count):
        raise InputError(
            f"it has {len(keys)} landmarks; expected {count} skeletons x"
            f" {options.num_joints or 'as many'} joints"
        )
    if count == 1:
        own = [key.removeprefix(names[0].lower()).strip("_. -") for key in keys]
        if joints and {*own} == {*joints}:
            return [keys[own.index(joint)] for joint in joints], 1
        return _in_order(keys, joints, options), 1
    in_order = _by_number(keys)
    if in_order is None:
        raise InputError(
            f"its landmarks are {shown(keys)}; expected numbers, or names that begin"
            f" with their skeleton's, as {names[0]}_{keys[0]}, for {count} skeletons"
        )
    return in_order, count


def _joint_names(options: LandmarkOptions) -> list[str] | None:
    """Names of the joints that are asked for, as the header has them; None: unknown."""
    if not options.num_joints or "num_joints" in options.skeleton:
        return None
    order = layout_of(options.skeleton)
    return [name.lower() for name in order.joint_names] if order else None


def _by_number(keys: Sequence[str]) -> list[str] | None:
    """``p0, p1, ..`` by their numbers; None where they are no numbers."""
    found = [_NUMBERED.fullmatch(key) for key in keys]
    if not all(found) or len({one[1] for one in found if one}) > 1:
        return None
    number = {one.string: int(one[2]) for one in found if one}
    return sorted(keys, key=number.__getitem__)


def _in_order(
    keys: list[str], joints: list[str] | None, options: LandmarkOptions
) -> list[str]:
    """Landmarks of one skeleton in the order of its joints."""
    if joints and {*keys} == {*joints}:
        return joints
    by_number = _by_number(keys)
    if by_number is not None:
        return by_number
    if joints and "joints" in options.skeleton:
        wrong = [key for key in keys if key not in joints] or keys
        raise InputError(
            f"its header has the landmarks {shown(wrong)}; expected the names of"
            f" the joints, {shown(joints)}, or numbers"
        )
    for place, key in enumerate(keys):
        if joints and key in joints and joints.index(key) != place:
            raise InputError(
                f"landmark {place} of its header is {key!r}, which is joint"
                f" {joints.index(key)} of the layout {options.skeleton['layout']!r};"
                f" expected its names, {shown(joints)}, or its order"
            )
    return keys


def _whole(numbers: Sequence[float], name: str) -> list[int]:
    for number in numbers:
        if not 0 <= number < 2**31:
            raise InputError(f"{name} is {number}; expected numbers from 0 on")
    return [round(number) for number in numbers]


def _long(
    names: Sequence[str],
    rows: Sequence[tuple[str, list[str]]],
    options: LandmarkOptions,
) -> RawLandmarks:
    place_of = {_LONG.get(name, name): place for place, name in enumerate(names)}
    score = next((n for n in names if _AXES.get(n) == 3), None)
    axes = [axis for axis in "xyz" if axis in place_of]
    hands = options.names or (LEFT_RIGHT if "hand" in place_of else ["hand"])
    joint_names = options.skeleton.get("joints") or []
    found: list[tuple[int, int, int, list[float]]] = []
    for place, cells in rows:
        text = {key: cells[at].strip() for key, at in place_of.items()}
        hand = text.get("hand", hands[0]).lower()
        if hand not in hands:
            raise InputError(f"{place}: hand is {shown(hand)}; expected one of {hands}")
        joint = text["joint"]
        if joint in joint_names:
            joint = str(joint_names.index(joint))
        for name, value in (("joint", joint), ("frame", text["frame"])):
            if not re.fullmatch("[0-9]{1,9}", value):
                raise InputError(
                    f"{place}: {name} is {shown(value)}; expected a number from 0 on"
                )
        values = [_number(place, axis, text[axis]) for axis in axes]
        values.append(_number(place, score, text[score]) if score else 1.0)
        found.append((int(text["frame"]), hands.index(hand), int(joint), values))
    return _from_long(found, len(hands), len(axes), options, score is not None)


def _from_long(
    found: Sequence[tuple[int, int, int, list[float]]],
    skeletons: int,
    dims: int,
    options: LandmarkOptions,
    has_score: bool,
) -> RawLandmarks:
    joints = options.num_joints or 1 + max(joint for _, _, joint, _ in found)
    frame_id = frames_between(np.array([frame for frame, _, _, _ in found])).tolist()
    shape = (len(frame_id), skeletons, joints, dims + 1)
    if np.prod(shape) > _MOST_NUMBERS:
        raise InputError(f"its joints go up to {joints - 1}; expected a skeleton's")
    points: Any = np.full(shape, np.nan)
    row = {frame: number for number, frame in enumerate(frame_id)}
    for frame, hand, joint, values in found:
        if joint >= joints:
            raise InputError(f"it has joint {joint}; expected 0..{joints - 1}")
        if not np.isnan(points[row[frame], hand, joint, -1]):
            raise InputError(
                f"frame {frame} has joint {joint} of skeleton {hand} twice; expected"
                " each once"
            )
        points[row[frame], hand, joint] = values
    sure = np.nan_to_num(points[..., dims]) if has_score else None
    seen = ~np.isnan(points[..., dims]) & ~np.isnan(points[..., :dims]).any(axis=-1)
    return RawLandmarks(
        "csv, a row a landmark",
        {},
        points[..., :dims],
        sure,
        valid=seen,
        frame_id=frame_id,
    )
