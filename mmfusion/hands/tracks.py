"""Hands of a run of frames, and the interface of what finds them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

SIDES = ("left", "right")
# metainfo.skeleton of what this package writes
SKELETON: dict[str, Any] = {
    "layout": "mediapipe",
    "hands": list(SIDES),
    "unit": "image",
    "frame": "image",
    "dims": 3,
}


@dataclass(frozen=True)
class HandTracks:
    """Two hands in t frames, the left one first.

    Attributes:
        keypoint: (t, 2, 21, 3) float32, MediaPipe's order of joints. x and y are
            fractions of the picture's width and height (a hand may reach out of it); z
            is the depth from the wrist, smaller nearer to the camera, in the unit of x.
            0 where the hand is not seen.
        valid: (t, 2) bool, True where the hand is seen.
        score: (t, 2) float32, 0 to 1: how sure the model is that a hand is there; 0
            where it is not seen.
        frame_id: (t,) int64, number of each frame, rising.
    """

    keypoint: np.ndarray
    valid: np.ndarray
    score: np.ndarray
    frame_id: np.ndarray


class HandExtractor(Protocol):
    """Anything that finds hands in the frames of one clip."""

    def __call__(self, frames: Iterable[np.ndarray]) -> HandTracks:
        """Find the hands of one clip, in the order of time.

        Args:
            frames: pictures (h, w, 3) uint8 RGB; they are read once, one at a time.

        Returns:
            The hands, ``frame_id`` counted from 0.
        """
        ...
