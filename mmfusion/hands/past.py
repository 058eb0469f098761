"""The last pictures of a video, kept small, to follow a hand backward in time."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from mmfusion.hands.finds import Find

_LONG_SIDE = 640  # pixels of a kept picture; 60 of them are 55 MB at most


@dataclass(frozen=True)
class Moment:
    """A picture that was looked at, and what was found in it.

    Attributes:
        picture: (h, w, 3) uint8, perhaps smaller than it came.
        scale: pixels of it for one of the picture that came. finds: of the picture
            that came; the list may grow.
    """

    picture: np.ndarray
    scale: float
    finds: list[Find]


class Past:
    """The last ``length`` pictures of a video, 640 pixels long at most."""

    def __init__(self, length: int) -> None:
        self._moments: deque[Moment] = deque(maxlen=length)

    def add(self, picture: np.ndarray, finds: list[Find]) -> None:
        """Keep a picture (h, w, 3); ``finds`` is kept as it is, not copied."""
        if self._moments.maxlen == 0:
            return
        height, width = picture.shape[:2]
        scale = min(1.0, _LONG_SIDE / max(height, width))
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        else:
            picture = picture.copy()  # the next one may come in the same array
        self._moments.append(Moment(picture, scale, finds))

    def __iter__(self) -> Iterator[Moment]:
        """Moments, the newest first."""
        return reversed(self._moments)
