"""Hands, or other skeletons, on a picture."""

import cv2
import numpy as np

from mmfusion.layouts.hand_layouts import JointLayout, get_layout
from mmfusion.utils.errors import InputError

# RGB; blue and orange stay apart for every kind of colour vision
HAND_COLOURS = ((60, 140, 255), (255, 140, 30))
_SUBPIXEL_BITS = 4  # cv2 draws at 1/16 pixel with this shift


def draw_hands(
    image: np.ndarray,
    joints2d: np.ndarray,
    valid: np.ndarray,
    layout: str | JointLayout = "openpose21",
) -> np.ndarray:
    """Draw hands as bones and joints, the first one blue and the second one orange.

    A body is drawn as one blue hand would be.

    Args:
        image: (height, width, 3) uint8 RGB; not changed.
        joints2d: (h, j, 2 or more) pixels, the first two coordinates are x and y.
        valid: (h,) or (h, j) bool; what is not valid is not drawn.
        layout: a key of ``LAYOUTS``, or a layout, with j joints.

    Returns:
        A new (height, width, 3) uint8 RGB picture.

    Raises:
        ValueError: the shapes do not fit together.
    """
    order = get_layout(layout)
    if joints2d.ndim != 3 or joints2d.shape[1] != order.num_joints:
        raise InputError(
            f"joints2d: got shape {joints2d.shape}; layout {order.name!r} expects"
            f" (h, {order.num_joints}, 2)"
        )
    if valid.shape not in (joints2d.shape[:1], joints2d.shape[:2]):
        raise InputError(f"valid: got {valid.shape}; expected {joints2d.shape[:2]}")
    canvas = np.ascontiguousarray(image).copy()
    side = max(image.shape[:2])
    thickness, radius = max(1, round(side / 600)), max(1, round(side / 400))
    # far outside the picture cv2's integers would overflow
    near = (np.abs(joints2d[..., :2]) < 8 * side).all(axis=-1)  # (h, j)
    seen = near & (valid if valid.ndim == 2 else valid[:, None])
    for hand, points in enumerate(joints2d[..., :2]):
        colour = HAND_COLOURS[hand % len(HAND_COLOURS)]
        fixed = np.where(seen[hand][:, None], points, 0) * 2**_SUBPIXEL_BITS
        fixed = np.rint(fixed).astype(int)
        for start, end in order.bones:
            if seen[hand, start] and seen[hand, end]:
                ends = tuple(fixed[start].tolist()), tuple(fixed[end].tolist())
                cv2.line(canvas, *ends, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
        drawn = points[seen[hand]]
        # on a small hand dots would hide the bones
        if len(drawn) and np.ptp(drawn, axis=0).max() > 24 * radius:
            for joint in np.flatnonzero(seen[hand]):
                _draw_joint(canvas, fixed[joint].tolist(), radius, colour)
    return canvas


def _draw_joint(
    canvas: np.ndarray, point: list[int], radius: int, colour: tuple[int, int, int]
) -> None:
    """A dot with a dark rim, to be seen on skin; ``point`` in 1/16 pixels."""
    x, y = point
    for size, fill in ((radius + 1, (20, 20, 20)), (radius, colour)):
        cv2.circle(
            canvas,
            (x, y),
            size * 2**_SUBPIXEL_BITS,
            fill,
            cv2.FILLED,
            cv2.LINE_AA,
            _SUBPIXEL_BITS,
        )


def draw_paths(image: np.ndarray, joints2d: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Draw the way that the middle of each hand went, in the colours of the hands.

    Args:
        image: (height, width, 3) uint8 RGB; not changed.
        joints2d: (t, h, j, 2 or more) pixels, in the order of time.
        seen: (t, h, j) bool; a path is broken where no joint of its hand is seen.

    Returns:
        A new (height, width, 3) uint8 RGB picture.
    """
    canvas = np.ascontiguousarray(image).copy()
    weight = seen[..., None]
    middle = np.where(weight, joints2d[..., :2], 0).sum(axis=2)  # (t, h, 2)
    middle /= np.maximum(weight.sum(axis=2), 1)
    there = seen.any(axis=2)  # (t, h)
    there &= (np.abs(middle) < 8 * max(image.shape[:2])).all(axis=-1)
    fixed = np.rint(middle * 2**_SUBPIXEL_BITS).astype(int)
    thickness = max(2, round(max(image.shape[:2]) / 150))
    for hand in range(there.shape[1]):
        colour = HAND_COLOURS[hand % len(HAND_COLOURS)]
        for step in np.flatnonzero(there[1:, hand] & there[:-1, hand]).tolist():
            ends = fixed[step, hand].tolist(), fixed[step + 1, hand].tolist()
            cv2.line(canvas, *ends, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    return canvas
