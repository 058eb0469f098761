"""Landmarks as a file gives them, and options that its user may set."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmfusion.layouts.frame_arrays import as_mask
from mmfusion.layouts.hand_layouts import LAYOUTS, MAX_JOINTS, check_layout_keys
from mmfusion.layouts.one_hand import as_one_hand, busiest
from mmfusion.layouts.skeleton_arrays import (
    SkeletonKind,
    check_skeleton,
    found_hands,
)
from mmfusion.utils.errors import InputError, SkeletonError
from mmfusion.utils.schema import shown

LEFT_RIGHT = ["left", "right"]
BODY = ["body"]
_DESCRIBE = {"layout", "joints", "num_joints"}  # any of them tells the joints
IMAGE_HANDS: dict[str, Any] = {
    "layout": "mediapipe",
    "hands": LEFT_RIGHT,
    "unit": "image",
    "frame": "image",
}


@dataclass(frozen=True)
class LandmarkOptions:
    """Options of the user; None takes what the file's kind says.

    Attributes:
        skeleton: parts of ``metainfo.skeleton`` that replace the file's own: layout,
            or joints (or num_joints), bones and wrist; hands, unit, frame.
        dims: 2 or 3 coordinates; in an array with one number more, it is a confidence.
        fps: rows of the file per second, where it does not say.
        swap_hands: the first skeleton of the file is the second one, and the reverse.
        min_confidence: landmarks below are not seen.
    """

    skeleton: Mapping[str, Any] = field(default_factory=dict)
    dims: int | None = None
    fps: float | None = None
    swap_hands: bool = False
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no file could fit, whether or not there is one.

        Raises:
            InputError: names the option, what came and what was expected.
        """
        _check_options(self.skeleton)
        if not 0 <= self.min_confidence <= 1:
            raise InputError(f"min_confidence is {self.min_confidence}; expected 0..1")

    @property
    def names(self) -> list[str] | None:
        """Names of the skeletons that are asked for."""
        return self.skeleton.get("hands")

    @property
    def num_joints(self) -> int | None:
        """Joints of a skeleton, as far as the options say."""
        described = _DESCRIBE & self.skeleton.keys()
        return SkeletonKind.of(self.skeleton).num_joints if described else None


def _check_options(skeleton: Mapping[str, Any]) -> None:
    """Refuse a layout that nobody knows, and names or joints that cannot be."""
    name = skeleton.get("layout")
    if (
        name is not None
        and name not in LAYOUTS
        and _DESCRIBE & skeleton.keys() == {"layout"}
    ):
        near = difflib.get_close_matches(name, LAYOUTS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"layout is {name!r}; expected one of {', '.join(LAYOUTS)}, or --joints"
            f" beside it{hint}"
        )
    # without joints, those of the file's kind count, and bones and wrist are of them
    of_file = {} if _DESCRIBE & skeleton.keys() else {"num_joints": MAX_JOINTS}
    check_layout_keys({**skeleton, **of_file})
    hands = skeleton.get("hands") or []
    if len({*hands}) < len(hands) or not all(map(str.strip, hands)):
        raise InputError(
            f"skeletons are {shown([*hands])}; expected a name of its own for each"
        )


NOTHING_SAID = LandmarkOptions()


@dataclass(frozen=True)
class RawLandmarks:
    """Numbers out of a file, not yet checked.

    Attributes:
        kind: of the file, in words.
        skeleton: ``metainfo.skeleton`` as far as the file's kind says it.
        points: (t, m, j, 2 or 3) numbers; NaN where the file has none.
        confidence: (t, m) or (t, m, j), or None where the file has none.
        valid: (t, m) or (t, m, j) bool, or None.
        frame_id: (t,) rising frame numbers, or None: the rows are all frames.
        fps: frame numbers per second, or None.
    """

    kind: str
    skeleton: Mapping[str, Any]
    points: np.ndarray
    confidence: np.ndarray | None = None
    valid: Any = None
    frame_id: Any = None
    fps: Any = None


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of one video.

    Attributes:
        kind: of the file, in words.
        skeleton: ``metainfo.skeleton`` of it.
        keypoint: (t, m, j, 3) float32, 0 where not seen; the third is 0 in 2-D.
        valid: (t, m) or (t, m, j) bool, True where seen.
        frame_id: (t,) int64, rising, or None: the rows are all frames.
        fps: frame numbers per second, or None where nothing says it.
    """

    kind: str
    skeleton: dict[str, Any]
    keypoint: np.ndarray
    valid: np.ndarray
    frame_id: np.ndarray | None = None
    fps: float | None = None


def sides_of(options: LandmarkOptions) -> list[str]:
    """Sides in the order that is asked for, of a file that names its hands.

    Raises:
        InputError: something else than its hands is asked for.
    """
    names = options.names or LEFT_RIGHT
    if not {*names} <= {*LEFT_RIGHT}:
        raise InputError(
            f"its skeletons are hands, left and right, and {shown([*names])} are asked"
            " for; expected left,right or one of them"
        )
    return names


def places_of_sides(options: LandmarkOptions) -> tuple[list[str], dict[str, int]]:
    """Names of the skeletons, and the place of each side, of a file of found hands.

    A single skeleton that is neither left nor right takes hands of either side.

    Raises:
        InputError: something else than its hands is asked for.
    """
    names = options.names or LEFT_RIGHT
    if len(names) == 1 and names != BODY and names[0] not in LEFT_RIGHT:
        return names, dict.fromkeys(LEFT_RIGHT, 0)
    return names, {name: place for place, name in enumerate(sides_of(options))}


def frames_between(found: np.ndarray) -> np.ndarray:
    """Frame numbers (t,) of a file that has rows only for frames with a hand.

    The frames between were looked at, too, and none was seen there. Every second or
    third frame may have been: the step is the largest that fits. Where that would make
    ten rows of one, the numbers stay as they are.

    Args:
        found: (n,) frame numbers, in any order, 0 or above.
    """
    numbers = np.unique(found)
    step = int(np.gcd.reduce(np.diff(numbers))) if len(numbers) > 1 else 1
    first = int(numbers[0]) % step if numbers[0] < 10 * step * len(numbers) else 0
    count = (int(numbers[-1]) - first) // step + 1
    if count > 10 * len(numbers):
        return numbers
    return first + step * np.arange(count)


def checked(path: str, raw: RawLandmarks, options: LandmarkOptions) -> Landmarks:
    """Apply the options to a reader's numbers, and the one rule for skeletons.

    Raises:
        SkeletonError: names the file, what came and what was expected.
    """
    try:
        points, seen = _seen_points(raw, options)
        if _is_one_of_two(raw, points, options):
            points, seen = _one_hand(points, seen)
        skeleton = _skeleton_of(raw, points, options)
    except InputError as error:
        raise SkeletonError(path, str(error)) from None
    arrays: dict[str, Any] = {"keypoint": points}
    if seen is not None:
        arrays["valid"] = seen
    if raw.frame_id is not None:
        arrays["frame_id"] = raw.frame_id
    fps = raw.fps if raw.fps is not None else options.fps
    if fps is not None:
        arrays["fps"] = fps
    found = check_skeleton(path, arrays, SkeletonKind.of(skeleton))
    frame_id = None if raw.frame_id is None else found.frame_id
    return Landmarks(
        raw.kind, skeleton, found.keypoint, found.valid, frame_id, found.fps
    )


def _seen_points(
    raw: RawLandmarks, options: LandmarkOptions
) -> tuple[np.ndarray, np.ndarray | None]:
    """(t, m, j, 3) numbers, and (t, m) or (t, m, j) bool or None: not told."""
    points, dims = raw.points, raw.points.shape[-1]
    if points.ndim != 4 or dims not in (2, 3):
        raise InputError(
            f"its landmarks have the shape {points.shape}; expected (t, m, j, 2 or 3):"
            " frames, skeletons, joints, coordinates"
        )
    if options.dims == 2 or dims == 2:
        flat = np.zeros((*points.shape[:-1], 3), points.dtype)
        flat[..., :2] = points[..., :2]
        points = flat
    seen = None
    if raw.valid is not None:
        seen = as_mask(raw.valid, "valid", points.shape[:2], points.shape[:3])
    if raw.confidence is not None:
        sure = raw.confidence >= max(options.min_confidence, 1e-6)
        sure &= ~np.isnan(points).any(axis=(-1, -2) if sure.ndim == 2 else -1)
        seen = sure if seen is None else _both(seen, sure)
    elif options.min_confidence:
        raise InputError(
            f"min_confidence is {options.min_confidence}, and the file has no"
            " confidences"
        )
    if options.swap_hands:
        if points.shape[1] != 2:
            raise InputError(f"swap_hands: it has {points.shape[1]} skeletons, not 2")
        points = points[:, ::-1]
        seen = None if seen is None else seen[:, ::-1]
    by_joint = seen is not None and seen.ndim == 3 and points.size
    if seen is not None and by_joint and (seen == seen[..., :1]).all():
        seen = seen[..., 0]
    return np.ascontiguousarray(points), seen


def _is_one_of_two(
    raw: RawLandmarks, points: np.ndarray, options: LandmarkOptions
) -> bool:
    """Tell whether one hand of either side is asked for, of a left and a right one."""
    sides = raw.skeleton.get("hands") == LEFT_RIGHT and points.shape[1] == 2
    names = options.names or []
    return sides and len(names) == 1 and names[0] not in (*LEFT_RIGHT, *BODY)


def _one_hand(
    points: np.ndarray, seen: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """(t, 2, j, 3) and the mask of two hands as those of one."""
    finite = found_hands(points) & np.isfinite(points).any(axis=(-1, -2))
    place = busiest(finite if seen is None else seen)
    one = None if seen is None else as_one_hand(seen, place)
    return as_one_hand(points, place), one


def _both(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """True where two masks are, each by skeleton (t, m) or by joint (t, m, j)."""
    if first.ndim < second.ndim:
        first = first[..., None]
    elif second.ndim < first.ndim:
        second = second[..., None]
    return first & second


def _skeleton_of(
    raw: RawLandmarks, points: np.ndarray, options: LandmarkOptions
) -> dict[str, Any]:
    """The file's ``metainfo.skeleton``, with what the user says in its place."""
    own = dict(raw.skeleton)
    if _DESCRIBE & options.skeleton.keys():
        for key in ("layout", "joints", "num_joints", "bones", "wrist", "mirror"):
            own.pop(key, None)
    skeleton = {**own, **options.skeleton}
    _, skeletons, joints, _ = points.shape
    if not _DESCRIBE & skeleton.keys():
        raise InputError(
            f"nothing says what its {joints} joints are; expected a layout (--layout)"
            " or the joints (--joints, --wrist, --bones)"
        )
    if not skeleton.get("hands"):
        named = {1: ["hand"], 2: LEFT_RIGHT}
        skeleton["hands"] = named.get(skeletons) or [
            f"skeleton{number}" for number in range(skeletons)
        ]
    skeleton.setdefault("unit", None)
    skeleton.setdefault("frame", "image" if skeleton["unit"] == "image" else "camera")
    skeleton["dims"] = options.dims or raw.points.shape[-1]
    return skeleton
