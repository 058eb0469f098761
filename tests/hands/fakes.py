"""Hands without a model: the picture's brightness says where they are."""

from collections.abc import Iterable

import numpy as np

from mmfusion.hands import HandTracks


def joints_at(x: float, y: float, size: float = 0.1) -> np.ndarray:
    """(21, 3): a fan of fingers above (x, y), fractions of a picture."""
    joints = np.zeros((21, 3), np.float32)
    joints[0] = x, y, 0
    for finger in range(5):
        for part in range(4):
            joints[1 + 4 * finger + part] = (
                x + size * 0.2 * (finger - 2),
                y - size * (0.4 + 0.2 * part),
                0,
            )
    return joints


class BrightHands:
    """A right hand in each picture, as far right as the picture is bright.

    Attributes:
        shapes: of the pictures that came.
    """

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, frames: Iterable[np.ndarray]) -> HandTracks:
        keypoint = []
        for frame in frames:
            self.shapes.append(frame.shape)
            height, width = frame.shape[:2]
            grey = frame[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width // 2]
            hand = joints_at(float(grey.mean()) / 255, 0.5)
            keypoint.append(np.stack([np.zeros_like(hand), hand]))
        valid = np.array([[False, True]] * len(keypoint))
        return HandTracks(
            np.stack(keypoint),
            valid,
            valid.astype(np.float32),
            np.arange(len(keypoint)),
        )
