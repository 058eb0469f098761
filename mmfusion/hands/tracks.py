"""Hands of a run of frames, and the interface of what finds them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from mmfusion.layouts.one_hand import ONE_HAND, as_one_hand, busiest

SIDES = ("left", "right")
# metainfo.skeleton of what this package writes
SKELETON: dict[str, Any] = {
    "layout": "mediapipe",
    "hands": list(SIDES),
    "unit": "image",
    "frame": "image",
    "dims": 3,
}
# the same of clips that show one hand, of either side
ONE_HAND_SKELETON: dict[str, Any] = {**SKELETON, "hands": [ONE_HAND]}


@dataclass(frozen=True)
class HandTracks:
    """Hands in t frames: h is 2, the left one first, or 1, of either side.

    Attributes:
        keypoint: (t, h, 21, 3) float32, MediaPipe's order of joints. x and y are
            fractions of the picture's width and height (a hand may reach out of it); z
            is the depth from the wrist, smaller nearer to the camera, in the unit of x.
            0 where the hand is not seen.
        valid: (t, h) bool, True where the hand is seen.
        score: (t, h) float32, 0 to 1: how sure the model is that a hand is there; 0
            where it is not seen.
        frame_id: (t,) int64, number of each frame, rising.
    """

    keypoint: np.ndarray
    valid: np.ndarray
    score: np.ndarray
    frame_id: np.ndarray

    def as_one_hand(self) -> "HandTracks":
        """The same with one place, h = 1, for a clip that shows one hand.

        A frame with two takes the one seen in more frames of the clip.
        """
        place = busiest(self.valid)
        return replace(
            self,
            keypoint=as_one_hand(self.keypoint, place),
            valid=as_one_hand(self.valid, place),
            score=as_one_hand(self.score, place),
        )


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
