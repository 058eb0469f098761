"""Landmarks as a file gives them, and options that its user may set."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class LandmarkOptions:
    """Options of the user; None takes what the file's kind says.

    Attributes:
        skeleton: parts of ``metainfo.skeleton``: layout, joints, bones, wrist, hands,
            unit, frame.
        num_joints: joints of a skeleton, for files of plain numbers.
        fps: rows of the file per second, where it does not say.
        swap_hands: the file's first skeleton is the second one, and the reverse.
        min_confidence: landmarks below are not seen.
    """

    skeleton: dict[str, Any] = field(default_factory=dict)
    num_joints: int | None = None
    fps: float | None = None
    swap_hands: bool = False
    min_confidence: float = 0.0


NOTHING_SAID = LandmarkOptions()


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of one video.

    Attributes:
        kind: of the file, in words.
        skeleton: ``metainfo.skeleton`` as far as the file's kind says it.
        keypoint: (t, m, j, 3) float32, 0 where not seen; the third is 0 in 2-D.
        valid: (t, m) or (t, m, j) bool, True where seen.
        frame_id: (t,) int64, rising, or None: the rows are all frames.
        fps: frame numbers per second, or None where the file does not say.
        dims: 2 or 3.
    """

    kind: str
    skeleton: dict[str, Any]
    keypoint: np.ndarray
    valid: np.ndarray
    frame_id: np.ndarray | None = None
    fps: float | None = None
    dims: int = 3
