"""Online action detection: precision of every frame, and of starts or ends."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmfusion.evaluation.moments import join_windows, moments_row
from mmfusion.evaluation.online import (
    Detections,
    frame_precisions,
    multi_point_precision,
    rises,
)
from mmfusion.registry import METRICS
from mmfusion.structures import POINTS
from mmfusion.utils.errors import InputError, check_choice

_FROM = ("frames", "points")


@METRICS.register_module()
class OnlineDetectionMetric(BaseMetric):
    """``<task>/frame_mAP`` and ``mp_mAP``, percent; see ``evaluation/online.py``.

    Reads ``gt_<task>`` and ``score_<task>`` of moments, (t, k + 1) with background the
    last, and from the metainfo ``video_id``, ``moments`` (t,), ``tau_a`` and, for
    points, ``segments``. Windows of a video are put together; a moment that comes twice
    counts once, as the later window scores it. Classes that no frame shows are left
    out. ``<task>/moments_top1`` is the share of moments, background too, whose best
    class is right.

    Args:
        points: whether ``start`` or ``end`` of actions is detected; None leaves mp_mAP
            out.
        scores_of: what the model was trained to score: ``frames`` takes the rise (or,
            for ends, the fall) of a class's score as that of the point, ``points``
            (``LabelMoments(points=...)``) the score itself, as Mamba-OTR does.
        collect_device: where results of several processes meet, as in MMEngine.
        prefix: put before every key; none by default.

    Example:
        >>> OnlineDetectionMetric(points=None).points is None
        True
    """

    default_prefix = ""  # None would make MMEngine warn

    def __init__(
        self,
        points: str | None = "start",
        *,
        scores_of: str = "frames",
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        if points is not None:
            check_choice("points", points, POINTS)
        check_choice("scores_of", scores_of, _FROM)
        self.points, self.scores_of = points, scores_of

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep scores, labels, times and actions of a batch."""
        self.results.extend(moments_row(sample) for sample in data_samples)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Precisions of all videos, percent; the log says of how many moments."""
        videos = join_windows(results)
        found: dict[str, float] = {}
        for task in videos[0]["score"]:
            score = np.concatenate([one["score"][task] for one in videos])
            label = np.concatenate([one["label"][task] for one in videos])
            precisions = frame_precisions(score[:, :-1], label[:, :-1])
            if not precisions:
                raise InputError(
                    f"no moment of {len(videos)} videos shows a {task}; expected"
                    " actions, or there is no precision"
                )
            found[f"{task}/frame_mAP"] = float(np.mean([*precisions.values()]))
            right = np.take_along_axis(label, score.argmax(1)[:, None], 1)
            found[f"{task}/moments_top1"] = 100.0 * float(right.mean())
            if self.points is not None:
                found[f"{task}/mp_mAP"] = self._point_map(videos, task)
        count = sum(len(one["moments"]) for one in videos)
        MMLogger.get_current_instance().info(
            f"online detection: {count} moments of {len(videos)} videos"
        )
        return found

    def _point_map(self, videos: Sequence[Mapping[str, Any]], task: str) -> float:
        assert self.points is not None
        truth = [  # (video, seconds, class)
            (place, segment[POINTS.index(self.points)], segment[2][task])
            for place, one in enumerate(videos)
            for segment in one["segments"]
            if task in segment[2]
        ]
        video, time, label = (np.array(column) for column in zip(*truth, strict=True))
        scores = [one["score"][task] for one in videos]
        if self.scores_of == "frames":
            scores = [rises(one, self.points) for one in scores]
        at = [one["moments"] + one["tau_a"] for one in videos]
        number = np.repeat(np.arange(len(videos)), [len(one) for one in at])
        score, times = np.concatenate(scores), np.concatenate(at)
        return float(
            np.mean(
                [
                    multi_point_precision(
                        Detections(number, times, score[:, c]),
                        video[label == c],
                        time[label == c],
                    )
                    for c in np.unique(label)
                ]
            )
        )
