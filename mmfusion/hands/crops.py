"""Geometry of MediaPipe's hand pipeline: turned squares, and what is in them.

Angles are in radians, positive clockwise as the picture is seen (y points down); sizes
and places are in pixels of the picture.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

WRIST = 0
# joints that do not move with the fingers: wrist, thumb, knuckles and the joints above
_STEADY = np.array([0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18])
_INDEX, _MIDDLE, _RING = 5, 9, 13  # knuckles
_PALM_SCALE, _PALM_SHIFT = 2.6, -0.5  # of the square around a palm, to hold the fingers
_HAND_SCALE, _HAND_SHIFT = 2.0, -0.1  # of the square around the joints before


@dataclass(frozen=True)
class Square:
    """Turned square of a picture.

    Attributes:
        x, y: its middle, pixels. side: pixels. angle: radians, 0 upright.
    """

    x: float
    y: float
    side: float
    angle: float

    def scaled(self, factor: float) -> "Square":
        """The same square of a picture of ``factor`` times the size."""
        return Square(self.x * factor, self.y * factor, self.side * factor, self.angle)

    def moved(self, x: float, y: float) -> "Square":
        """The square, ``x`` and ``y`` pixels further."""
        return Square(self.x + x, self.y + y, self.side, self.angle)

    def widened(self, factor: float) -> "Square":
        """A square about the same middle, of ``factor`` times the side."""
        return Square(self.x, self.y, self.side * factor, self.angle)

    def matrix(self, size: int) -> np.ndarray:
        """(2, 3) map from a crop of ``size`` pixels a side to the picture."""
        scale = self.side / size
        cos, sin = scale * np.cos(self.angle), scale * np.sin(self.angle)
        half = size / 2
        return np.array(
            [
                [cos, -sin, self.x - cos * half + sin * half],
                [sin, cos, self.y - sin * half - cos * half],
            ]
        )

    def crop(self, picture: np.ndarray, size: int) -> np.ndarray:
        """The square, upright: (size, size, 3) of a picture (h, w, 3)."""
        # the middle of a pixel is at its half
        matrix = self.matrix(size)
        matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            picture, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )

    def to_picture(self, joints: np.ndarray, size: int) -> np.ndarray:
        """Joints (j, 3), in pixels of a crop of ``size``, brought to the picture."""
        matrix = self.matrix(size)
        plane = joints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        depth = joints[:, 2:] * (self.side / size)
        return np.concatenate([plane, depth], axis=1)  # (j, 3)


def squares_over(height: int, width: int, share: float) -> list[Square]:
    """Upright squares that cover a picture, each half over the next.

    Args:
        height, width: of the picture. share: of its longer side that a square has.
    """
    side = share * max(height, width)
    rows, columns = (
        np.linspace(side / 4, max(side / 4, length - side / 4), count)
        for length in (height, width)
        for count in [max(1, math.ceil((length - side / 2) / (side / 2))) + 1]
    )
    return [Square(x, y, side, 0.0) for y in rows.tolist() for x in columns.tolist()]


def square_of_palm(box: np.ndarray, wrist: np.ndarray, middle: np.ndarray) -> Square:
    """The square that holds a whole hand, its fingers up.

    Args:
        box: (4,) x, y of the palm's middle, width, height.
        wrist, middle: (2,) the wrist and the knuckle of the middle finger.
    """
    angle = _upright(middle - wrist)
    return _shifted(box[:2], box[2:].max(), angle, _PALM_SHIFT, _PALM_SCALE, box[3])


def square_of_joints(joints: np.ndarray) -> Square:
    """The square in which the hand of these joints (21, 3) is looked for next."""
    plane = joints[:, :2]
    fingers = (plane[_INDEX] + plane[_RING]) / 2
    angle = _upright((fingers + plane[_MIDDLE]) / 2 - plane[WRIST])
    turn = _turn(angle)
    steady = plane[_STEADY] @ turn  # (12, 2), turned upright
    low, high = steady.min(axis=0), steady.max(axis=0)
    middle = turn @ ((low + high) / 2)
    width, height = high - low
    return _shifted(middle, max(width, height), angle, _HAND_SHIFT, _HAND_SCALE, height)


def _upright(direction: np.ndarray) -> float:
    """Angle of the square in which ``direction`` (2,) points up."""
    angle = np.pi / 2 - np.arctan2(-direction[1], direction[0])
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _turn(angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _shifted(
    middle: np.ndarray,
    side: float,
    angle: float,
    shift: float,
    scale: float,
    height: float,
) -> Square:
    """Square about ``middle``, moved along its own y by ``shift`` heights."""
    x, y = middle + _turn(angle) @ np.array([0.0, shift * height])
    return Square(float(x), float(y), float(side * scale), angle)


def overlap(one: Square, other: Square) -> float:
    """Shared area of two squares by their upright bounding boxes, 0 to 1 (IoU)."""
    sides = []
    for axis in ("x", "y"):
        low = [getattr(s, axis) - s.side / 2 for s in (one, other)]
        high = [getattr(s, axis) + s.side / 2 for s in (one, other)]
        sides.append(max(0.0, min(high) - max(low)))
    shared = sides[0] * sides[1]
    return shared / (one.side**2 + other.side**2 - shared)
