"""One rule for skeletons (hands, a body), whatever file they are from.

Every door leads here: the converters, the caches, pose files, ``LoadSkeleton``.

- A joint is seen where ``valid`` says so, by hand (t, h) or by joint (t, h, j). Where a
  file says nothing, each joint whose coordinates are finite is.
- A hand whose numbers are all 0 in a frame was not found: it is not seen, whatever
  ``valid`` says.
- What is not seen is 0. What is seen is finite, and within the range of the unit:
  fractions of an image are no pixels, and a hand is not a kilometre across. Anything
  else is refused, with the first place where it is so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmfusion.layouts.frame_arrays import (
    as_fps,
    as_frame_ids,
    as_mask,
    as_name,
    as_numbers,
)
from mmfusion.layouts.hand_layouts import JointLayout, layout_of
from mmfusion.utils.errors import InputError, SkeletonError


@dataclass(frozen=True)
class Unit:
    """Range of the coordinates in one unit.

    Attributes:
        low: smallest x or y. high: the largest.
        hand: smallest and largest extent (the longest side of the box around its
            joints) that a hand can have.
        text: the range in words, for errors.
    """

    low: float
    high: float
    hand: tuple[float, float]
    text: str


UNITS = {
    "m": Unit(-1e3, 1e3, (0.01, 1.0), "metres"),
    "cm": Unit(-1e5, 1e5, (1.0, 100.0), "centimetres"),
    "mm": Unit(-1e6, 1e6, (10.0, 1000.0), "millimetres"),
    "px": Unit(-1e5, 1e5, (1.0, 1e5), "pixels"),
    # a hand may reach out of the picture
    "image": Unit(-1.0, 2.0, (1e-4, 3.0), "fractions of the image's width and height"),
}
_MOST = 1e6  # of a coordinate in no unit


# metainfo.skeleton of two hands before a head camera
TWO_HANDS: dict[str, Any] = {
    "layout": "openpose21",
    "hands": ["left", "right"],
    "unit": "m",
    "frame": "camera",
}


@dataclass(frozen=True)
class SkeletonKind:
    """Parts of ``metainfo.skeleton`` that the arrays must fit; None: not told.

    Attributes:
        hands: their names, in the order of the arrays.
        layout: name of the joints' order. num_joints: joints of a hand.
        unit: a key of UNITS. frame: ``camera``, ``image``, ``world``...
        order: the layout itself, where it is known or described.
        dims: 2 where the third number of each joint is 0 and says nothing, else 3.
    """

    hands: tuple[str, ...] | None = None
    layout: str | None = None
    num_joints: int | None = None
    unit: str | None = None
    frame: str | None = None
    order: JointLayout | None = None
    dims: int = 3

    @classmethod
    def of(cls, meta: Mapping | None) -> "SkeletonKind":
        """The kind that ``metainfo.skeleton`` describes."""
        meta = meta or {}
        order = layout_of(meta)
        return cls(
            tuple(meta["hands"]) if meta.get("hands") else None,
            meta.get("layout"),
            order.num_joints if order else None,
            meta.get("unit"),
            meta.get("frame"),
            order,
            meta.get("dims") or 3,
        )

    @property
    def range(self) -> Unit | None:
        """Range of the coordinates; None where nothing tells their unit."""
        fractions = self.frame == "image" and self.unit != "px"
        return UNITS.get("image" if fractions else self.unit or "")

    @property
    def place(self) -> str:
        """Frame of the coordinates for transforms.

        ``image`` means fractions of the picture's width and height, ``pixels`` the unit
        ``px``; ``camera`` also stands for what is not told.
        """
        if self.unit == "px" and self.frame in (None, "image"):
            return "pixels"
        return self.frame or ("image" if self.unit == "image" else "camera")

    @property
    def is_hand(self) -> bool:
        """Tell whether the layout is one of a human hand's joints."""
        return self.order is not None and self.order.openpose_index is not None


ANY_KIND = SkeletonKind()


@dataclass(frozen=True)
class SkeletonFile:
    """The arrays of one sequence.

    Attributes:
        keypoint: (t, h, j, 3) float32, 0 where not valid.
        valid: (t, h) or (t, h, j) bool.
        frame_id: (t,) int64, ascending, frame numbers at ``index_fps``.
        fps: frame numbers per second; None where the file does not say.
        sequence: name of the sequence, or None.
    """

    keypoint: np.ndarray
    valid: np.ndarray
    frame_id: np.ndarray
    fps: float | None
    sequence: str | None


def found_hands(keypoint: np.ndarray) -> np.ndarray:
    """(t, h) bool, False where all numbers of a hand (t, h, j, c) are 0."""
    return (keypoint != 0).any(axis=(2, 3))


def check_skeleton(
    name: str, arrays: Mapping[str, Any], kind: SkeletonKind = ANY_KIND
) -> SkeletonFile:
    """Check the arrays of a sequence; only ``keypoint`` is required.

    Args:
        name: of the file, for errors.
        arrays: keypoint (t, h, j, 3) and perhaps valid, frame_id, fps, sequence.
        kind: what they must fit.

    Raises:
        SkeletonError: names the file, the array, what came and what was expected.
    """
    try:
        return _checked(arrays, kind)
    except InputError as error:
        raise SkeletonError(name, str(error)) from None


def _checked(arrays: Mapping[str, Any], kind: SkeletonKind) -> SkeletonFile:
    if "keypoint" not in arrays:
        raise InputError(f"it holds {sorted(arrays)}; expected 'keypoint'")
    keypoint = as_numbers(arrays["keypoint"], "keypoint")
    _check_shape(keypoint.shape, kind)
    num = len(keypoint)
    valid = _seen(keypoint, arrays.get("valid"))
    frame_id = as_frame_ids(arrays.get("frame_id", np.arange(num)), num)
    fps = as_fps(arrays["fps"]) if "fps" in arrays else None
    sequence = as_name(arrays["sequence"], "sequence") if "sequence" in arrays else None
    keypoint = _sound(keypoint, valid, kind)
    if kind.dims == 2:
        _check_flat(keypoint)
    for array in (keypoint, valid, frame_id):
        array.flags.writeable = False  # shared by every clip of the sequence
    return SkeletonFile(keypoint, valid, frame_id, fps, sequence)


def _check_shape(shape: tuple[int, ...], kind: SkeletonKind) -> None:
    if len(shape) != 4 or shape[-1] != 3:
        raise InputError(
            f"keypoint has shape {shape}; expected (t, h, j, 3): frames, hands, joints"
            " (21 in a hand, 63 numbers), x y z (0 for 2-D)"
        )
    if 0 in shape:
        raise InputError(
            f"it holds {shape[0]} frames of {shape[1]} hands and {shape[2]} joints"
        )
    hands = len(kind.hands) if kind.hands else None
    if hands not in (None, shape[1]) or kind.num_joints not in (None, shape[2]):
        raise InputError(
            f"keypoint {shape} has {shape[1]} hands x {shape[2]} joints x 3; expected"
            f" {hands or 'any'} hands {[*(kind.hands or ())]} x"
            f" {kind.num_joints or 'any'} joints x 3 (layout {kind.layout!r})"
        )


def _seen(keypoint: np.ndarray, valid: Any) -> np.ndarray:
    """(t, h) or (t, h, j), True where seen."""
    found = found_hands(keypoint)
    if valid is not None:
        mask = as_mask(valid, "valid", keypoint.shape[:2], keypoint.shape[:3])
        return mask & (found if mask.ndim == 2 else found[..., None])
    finite = np.isfinite(keypoint).all(axis=-1)  # (t, h, j)
    if (finite == finite[..., :1]).all():
        return found & finite[..., 0]
    return found[..., None] & finite


def _sound(keypoint: np.ndarray, valid: np.ndarray, kind: SkeletonKind) -> np.ndarray:
    """(t, h, j, 3) float32 with 0 where not valid; what is valid must be sound."""
    mask = valid if valid.ndim == 3 else valid[..., None]  # (t, h, j or 1)
    joints = np.where(mask[..., None], keypoint, 0)
    unit = kind.range
    low, high = (-_MOST, _MOST) if unit is None else (unit.low, unit.high)
    flat = joints if unit is None else joints[..., :2]
    # NaN is not within; of the third number only that it is finite, and no further
    within = low < flat.min() and flat.max() < high and abs(joints).max() < _MOST
    if not within:
        _tell_outside(keypoint, mask, unit)
    joints = joints.astype(np.float32)
    if unit is not None and kind.is_hand:
        _check_extent(joints, valid, unit)
    return joints


def _tell_outside(keypoint: np.ndarray, mask: np.ndarray, unit: Unit | None) -> None:
    """Raise for the first seen joint of (t, h, j, 3) that is not sound."""
    seen = np.broadcast_to(mask, keypoint.shape[:3])
    sound = np.isfinite(keypoint) & (np.abs(keypoint) < _MOST)
    if not sound[seen].all():
        frame, hand, joint, axis = np.argwhere(~sound & seen[..., None])[0].tolist()
        raise InputError(
            f"row {frame}, hand {hand}, joint {joint}: {'xyz'[axis]} is"
            f" {keypoint[frame, hand, joint, axis]}; expected a finite number below"
            f" {_MOST:g}, or valid False"
        )
    if unit is None:
        return
    plane = keypoint[..., :2]
    outside = seen & ((plane <= unit.low) | (plane >= unit.high)).any(axis=-1)
    frame, hand, joint = np.argwhere(outside)[0].tolist()
    raise InputError(
        f"row {frame}, hand {hand}, joint {joint} is at"
        f" {keypoint[frame, hand, joint].tolist()}; expected {unit.text} between"
        f" {unit.low:g} and {unit.high:g}: give the unit that the numbers are in, or"
        " convert them"
    )


def _check_flat(joints: np.ndarray) -> None:
    """Refuse a third number other than 0 in 2-D joints (t, h, j, 3)."""
    if joints[..., 2].any():
        frame, hand, joint = np.argwhere(joints[..., 2])[0].tolist()
        raise InputError(
            f"row {frame}, hand {hand}, joint {joint}: z is"
            f" {joints[frame, hand, joint, 2]:g}; expected 0, as metainfo.skeleton says"
            " dims 2; set dims to 3 if the third number is a depth"
        )


def _check_extent(joints: np.ndarray, valid: np.ndarray, unit: Unit) -> None:
    """Refuse a hand (t, h, j, 3) that is larger or smaller than any."""
    axes = joints[..., :2] if unit is UNITS["image"] else joints
    axes = np.ascontiguousarray(np.moveaxis(axes, 2, 0))  # (j, t, h, c), to be fast
    if valid.ndim == 2:  # all joints of a hand are seen, or none
        sides, whole = axes.max(0) - axes.min(0), valid  # (t, h, c)
    else:
        seen = np.moveaxis(valid, 2, 0)[..., None]
        ends = np.where(seen, axes, -np.inf).max(0)
        sides = ends - np.where(seen, axes, np.inf).min(0)
        whole = np.all(valid, axis=-1, keepdims=False)
    extent, (low, high) = sides.max(-1), unit.hand  # (t, h)
    wrong = (extent > high) | (whole & (extent < low))
    if wrong.any():
        frame, hand = np.argwhere(wrong)[0].tolist()
        raise InputError(
            f"row {frame}, hand {hand} is {extent[frame, hand]:g} {unit.text} across;"
            f" expected {low:g} to {high:g}: a joint is wrong, or the unit"
        )
