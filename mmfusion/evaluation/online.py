"""Online action detection: precision over every frame of untrimmed videos.

Pure functions on NumPy arrays: ``n`` frames or detections, ``m`` points, ``k`` classes.
A class's frames compete with the frames of all other classes and with background, of
all videos together; background itself is no class that is averaged (De Geest et al.,
"Online Action Detection", ECCV 2016; Xu et al., TRN, ICCV 2019). Results are percent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmfusion.utils.errors import InputError

TOLERANCES = tuple(range(1, 11))  # seconds, of mp-mAP
SCORE_FLOOR = 0.005  # of Mamba-OTR's code: what scores less is no detection


def frame_average_precision(scores: ArrayLike, positive: ArrayLike) -> float:
    """Average precision of one class over frames: sum of (R_i - R_i-1) P_i.

    Equal scores are one threshold, so the order of the frames does not matter.

    Args:
        scores: (n,) of the class, at each frame.
        positive: (n,) bool, the frames that show it; one at least.

    Returns:
        0 to 100.
    """
    score, truth = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if score.shape != truth.shape or score.ndim != 1 or not truth.any():
        raise InputError(
            f"frame_average_precision: got scores {score.shape} and labels"
            f" {truth.shape}, {truth.sum()} of them positive; expected (n,) each, and"
            " one positive frame at least"
        )
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    gained = np.diff(hits[last], prepend=0) / hits[-1]
    return 100.0 * float((gained * hits[last] / (last + 1)).sum())


def frame_precisions(
    scores: NDArray[np.floating], labels: NDArray[np.bool_]
) -> dict[int, float]:
    """Average precision of each class that some frame shows.

    Args:
        scores: (n, k), without background. labels: (n, k) bool; a frame of background
            has none, one of overlapping actions several.
    """
    return {
        int(c): frame_average_precision(scores[:, c], labels[:, c])
        for c in np.flatnonzero(labels.any(axis=0))
    }


@dataclass(frozen=True)
class Detections:
    """Detected points of one class.

    Attributes:
        video: (n,) number of the video of each.
        time: (n,) seconds in it.
        score: (n,).
    """

    video: NDArray[np.int64]
    time: NDArray[np.float64]
    score: NDArray[np.floating]


def point_average_precision(
    found: Detections,
    video: NDArray[np.int64],
    time: NDArray[np.float64],
    tolerance: float,
) -> float:
    """Point-level average precision of one class (Shou et al., ODAS, ECCV 2018).

    Detections are taken from the best score on. Each takes the nearest true point of
    its video, within the tolerance, that none has taken; one that gets none is false.
    Precision is then made to fall with recall, as VOC 2011 does. Of equal scores the
    earlier detection comes first.

    Args:
        found: the detections. video, time: (m,) of the true points, one at least.
        tolerance: seconds, the end included.

    Returns:
        0 to 100.
    """
    order = np.argsort(-found.score, kind="stable")
    right = np.zeros(len(order), bool)
    free = np.ones(len(time), bool)
    own = {one: np.flatnonzero(video == one) for one in np.unique(video)}
    for rank, place in enumerate(order):
        near = own.get(found.video[place])
        if near is None:
            continue
        gap = np.where(free[near], np.abs(time[near] - found.time[place]), np.inf)
        best = gap.argmin()
        if gap[best] <= tolerance:
            free[near[best]], right[rank] = False, True
            if not free.any():
                break
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return 100.0 * float(envelope[right].sum()) / len(time)


def multi_point_precision(
    found: Detections,
    video: NDArray[np.int64],
    time: NDArray[np.float64],
    tolerances: Sequence[float] = TOLERANCES,
) -> float:
    """Mean of the point-level precisions of one class over tolerances, percent.

    Its mean over classes is Mamba-OTR's mp-mAP (arXiv 2507.16342, section 4). Two
    things differ from the published code: there the frames of all videos stand on one
    clock, so that a detection at the end of a video can meet a point at the start of
    the next; and of equal scores the later one comes first.
    """
    kept = found.score > SCORE_FLOOR
    few = Detections(found.video[kept], found.time[kept], found.score[kept])
    return float(
        np.mean([point_average_precision(few, video, time, one) for one in tolerances])
    )


def rises(scores: NDArray[np.floating], point: str) -> NDArray[np.floating]:
    """Scores of points from those of frames: how much a class rises, or falls.

    A model of frames scores an action as long as it lasts; its start is where the
    score rises, its end where it falls. What the model gives before the first frame
    and after the last is 0.

    Args:
        scores: (t, k) of one video, in time order. point: ``start`` or ``end``.

    Returns:
        (t, k), 0 to 1: at the first frame of a start, at the last one of an end.
    """
    if point == "start":
        change = np.diff(scores, axis=0, prepend=np.zeros_like(scores[:1]))
    else:
        change = -np.diff(scores, axis=0, append=np.zeros_like(scores[:1]))
    return np.maximum(change, 0)
