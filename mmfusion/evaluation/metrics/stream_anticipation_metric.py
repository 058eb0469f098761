"""Anticipation's official numbers out of a model that looks ahead at every moment."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mmfusion.evaluation.metrics.epic_kitchens_metric import (
    EpicKitchensMetric,
    segment_row,
)
from mmfusion.evaluation.moments import join_windows, moments_row, scores_at
from mmfusion.registry import METRICS
from mmfusion.utils.errors import InputError


@METRICS.register_module()
class StreamAnticipationMetric(EpicKitchensMetric):
    """:class:`EpicKitchensMetric` of the moments at which the official one asks.

    The model scores at every moment what happens tau_a seconds later. Of each segment
    the scores at its start - tau_a are taken, or those of the last moment before; the
    background is left out. A model that has seen the same frames by then gets the same
    numbers as clip by clip.

    Reads what :class:`OnlineDetectionMetric` reads, of whole videos.

    Args:
        action_from, collect_device, prefix: as in :class:`EpicKitchensMetric`.
    """

    def __init__(
        self,
        *,
        action_from: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(
            "anticipation",
            action_from=action_from,
            collect_device=collect_device,
            prefix=prefix,
        )

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep scores, labels, times and actions of a batch."""
        self.results.extend(moments_row(sample) for sample in data_samples)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """All numbers of all segments, percent; the log gets them as a table."""
        samples = (
            sample for video in join_windows(results) for sample in segments_of(video)
        )
        return super().compute_metrics([segment_row(sample) for sample in samples])


def segments_of(video: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Data samples, as metrics get them, of a video's segments at the official times.

    Args:
        video: one of ``join_windows``.

    Raises:
        ValueError: the model does not look ahead.
    """
    tau_a = video["tau_a"]
    if not tau_a > 0:
        raise InputError(
            f"video {video['video']!r}: tau_a is {tau_a}; expected more than 0, of"
            " LabelMoments(tau_a=...): else the model does not look ahead"
        )
    found = []
    for number, (start, _, label) in enumerate(video["segments"]):
        scores = scores_at(video, start - tau_a)
        found.append(
            {
                "sample_id": f"{video['video']}#{number}",
                "video_id": video["video"],
                "participant_id": video["meta"]["participant_id"],
                "tau_a": tau_a,
                "padded": start < tau_a,
                **{f"gt_{task}": one for task, one in label.items()},
                **{
                    f"score_{task}": torch.from_numpy(score[:-1])
                    for task, score in scores.items()
                },
            }
        )
    return found
