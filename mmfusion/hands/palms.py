"""Palms in a picture: MediaPipe's detector, from the picture to boxes and points."""

from dataclasses import dataclass

import cv2
import numpy as np

from mmfusion.hands.crops import Square, square_of_palm
from mmfusion.hands.interpreter import Network

SIZE = 192  # pixels a side of the detector's input
_STRIDES = (8, 16, 16, 16)
_PER_CELL = 2  # anchors of a cell in each layer
_SAME = 0.3  # overlap (IoU) above which two boxes are of one palm
_WRIST, _MIDDLE = 0, 2  # of the seven points of a palm


def make_anchors() -> np.ndarray:
    """(2016, 2) middles of the detector's anchors, fractions of its input."""
    layers = []
    for stride in _STRIDES:
        cells = SIZE // stride
        middles = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(middles, middles, indexing="ij")
        grid = np.stack([x, y], axis=-1).reshape(-1, 2)
        layers.append(np.repeat(grid, _PER_CELL, axis=0))
    return np.concatenate(layers)


@dataclass(frozen=True)
class Letterbox:
    """A picture in the middle of the detector's square input.

    Attributes:
        scale: pixels of the input for one of the picture.
        left, top: pixels of the input before the picture.
    """

    scale: float
    left: float
    top: float

    @classmethod
    def of(cls, height: int, width: int) -> "Letterbox":
        scale = SIZE / max(height, width)
        return cls(scale, (SIZE - width * scale) / 2, (SIZE - height * scale) / 2)

    def fill(self, picture: np.ndarray) -> np.ndarray:
        """(SIZE, SIZE, 3) with black beside the picture (h, w, 3)."""
        middle = (self.scale - 1) / 2  # the middle of a pixel is at its half
        matrix = np.array(
            [
                [self.scale, 0, self.left + middle],
                [0, self.scale, self.top + middle],
            ]
        )
        shrunk = self.scale < 0.5  # else every second pixel would not be looked at
        if shrunk:
            height, width = picture.shape[:2]
            half = (max(1, width // 2), max(1, height // 2))
            smaller = cv2.resize(picture, half, interpolation=cv2.INTER_AREA)
            return Letterbox.of(*smaller.shape[:2]).fill(smaller)
        return cv2.warpAffine(picture, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR)

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the input, in pixels, brought to the picture."""
        return (points - [self.left, self.top]) / self.scale


def decode(raw: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Boxes and points of palms in pixels of the input.

    Args:
        raw: (n, 18) output of the detector: x, y, width, height, then seven points.
        anchors: (n, 2), see :func:`make_anchors`.

    Returns:
        (n, 18) of the same order.
    """
    found = raw.astype(np.float64).reshape(len(raw), 9, 2)
    found[:, [0, 2, 3, 4, 5, 6, 7, 8]] += anchors[:, None] * SIZE
    return found.reshape(len(raw), 18)


def merge(palms: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One palm for each group of boxes that overlap: their mean by score.

    Args:
        palms: (n, 18), see :func:`decode`. scores: (n,), 0 to 1.

    Returns:
        (m, 18) and the best score of each group (m,), falling.
    """
    merged, best = [], []
    rest = np.argsort(-scores, kind="stable")
    while len(rest):
        same = _iou(palms[rest[0]], palms[rest]) > _SAME
        same[0] = True
        group = rest[same]
        weight = scores[group, None]
        merged.append((palms[group] * weight).sum(axis=0) / weight.sum())
        best.append(scores[rest[0]])
        rest = rest[~same]
    return np.reshape(merged, (-1, 18)), np.asarray(best)


def _iou(palm: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Overlap (n,) of a palm's box (18,) with others' (n, 18)."""
    low = np.maximum(palm[:2] - palm[2:4] / 2, others[:, :2] - others[:, 2:4] / 2)
    high = np.minimum(palm[:2] + palm[2:4] / 2, others[:, :2] + others[:, 2:4] / 2)
    shared = np.clip(high - low, 0, None).prod(axis=1)
    union = palm[2:4].prod() + others[:, 2:4].prod(axis=1) - shared
    return shared / np.maximum(union, 1e-9)


class PalmDetector:
    """Squares of a picture in which a hand may be, the surest first.

    Args:
        network: MediaPipe's palm detector.
        min_score: smallest score of a palm, 0 to 1.
    """

    def __init__(self, network: Network, min_score: float) -> None:
        self._network = network
        self._min_score = min_score
        self._anchors = make_anchors()

    def __call__(self, picture: np.ndarray) -> list[Square]:
        """Squares of a picture (h, w, 3) uint8 RGB."""
        box = Letterbox.of(*picture.shape[:2])
        raw, logits = self._network(box.fill(picture))
        scores = 1 / (1 + np.exp(-np.clip(logits.reshape(-1), -100, 100)))
        sure = scores >= self._min_score
        palms = decode(raw.reshape(-1, 18)[sure], self._anchors[sure])
        palms, _ = merge(palms, scores[sure])
        return [self._square(palm, box) for palm in palms]

    def _square(self, palm: np.ndarray, box: Letterbox) -> Square:
        middle = box.to_picture(palm[:2])
        points = box.to_picture(palm[4:].reshape(7, 2))
        size = palm[2:4] / box.scale
        return square_of_palm(
            np.concatenate([middle, size]), points[_WRIST], points[_MIDDLE]
        )
