"""The step from a decoded picture to the one that a player shows.

A container may hide borders, state a direction and a mirror, and say that pixels are
no squares. Players obey all of it, decoders none.
"""

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

_SQUARE = Fraction(
    2, 100
)  # tools that scale to whole pixels leave 341:340 and the like
_SLANT = 0.01  # of a display matrix, which has rounded sines


@dataclass(frozen=True)
class Display:
    """Rule by which the pictures of a video are shown: cut, scaled, turned.

    Attributes:
        crop: hidden pixels at the top, bottom, left and right of the stored picture.
        aspect: width of a stored pixel by its height. The side that would be too short
            is enlarged, so that nothing is lost.
        transposed: rows become columns, before the flips.
        flips: True where the rows, the columns, are read backwards.
    """

    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    aspect: Fraction = Fraction(1)
    transposed: bool = False
    flips: tuple[bool, bool] = (False, False)

    @property
    def orientation(self) -> tuple[bool, tuple[bool, bool]]:
        """``transposed`` and ``flips``."""
        return self.transposed, self.flips

    def scaled_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of a stored picture, cut and with square pixels."""
        top, bottom, left, right = self.crop
        height, width = size[0] - top - bottom, size[1] - left - right
        if self.aspect >= 1:
            return height, round(width * self.aspect)
        return round(height / self.aspect), width

    def shown_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) as shown of a picture that is stored with ``size``."""
        height, width = self.scaled_size(size)
        return (width, height) if self.transposed else (height, width)

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The part (h', w', 3) of a stored picture (h, w, 3) that is not hidden."""
        top, bottom, left, right = self.crop
        return image[top : image.shape[0] - bottom, left : image.shape[1] - right]

    def turn(self, image: np.ndarray) -> np.ndarray:
        """A picture or a plane, (h, w) or (h, w, 3), upright."""
        if self.transposed:
            image = image.swapaxes(0, 1)
        rows, columns = (-1 if flip else 1 for flip in self.flips)
        return image[::rows, ::columns]

    def show(self, image: np.ndarray) -> np.ndarray:
        """A stored picture (h, w, 3) uint8 as players show it."""
        height, width = self.scaled_size(image.shape[:2])
        image = self.cut(image)
        if image.shape[:2] != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(self.turn(image))

    def __str__(self) -> str:
        """The rule in words; empty for pictures that are shown as they are stored."""
        words = []
        if any(self.crop):
            words.append("cut by {}, {}, {}, {}".format(*self.crop))
        if self.aspect != 1:
            words.append(f"pixels {self.aspect.numerator}:{self.aspect.denominator}")
        if self.transposed or any(self.flips):
            names = ("rows backwards", "columns backwards")
            told = [name for name, flip in zip(names, self.flips, strict=True) if flip]
            words.append(", ".join(["transposed"] * self.transposed + told))
        return "; ".join(words)


def pixel_aspect(stated: Fraction | None) -> Fraction:
    """Width of a pixel by its height; 1 where not stated, or square but for 2 %."""
    if not stated or stated < 0 or abs(stated - 1) < _SQUARE:
        return Fraction(1)
    return stated


def orientation(matrix: np.ndarray) -> tuple[bool, tuple[bool, bool]] | None:
    """``transposed`` and ``flips`` of a display matrix (9,), int32.

    None where it is none of the eight. One that maps all to a line is no direction, to
    players neither: pictures stay as they are.
    """
    a, b, _, c, d = matrix[:5].astype(float).tolist()  # x' = a x + c y, y' = b x + d y
    if abs(a * d - b * c) < 1:
        return False, (False, False)
    if max(abs(b), abs(c)) <= _SLANT * min(abs(a), abs(d)):
        return False, (d < 0, a < 0)
    if max(abs(a), abs(d)) <= _SLANT * min(abs(b), abs(c)):
        return True, (b < 0, c < 0)
    return None
