"""Labels of the moments that an anticipating model observes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.transforms.sample_times import times_of
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError

NO_LABEL = -1


@TRANSFORMS.register_module()
class LabelObserved(BaseTransform):
    """Say of every observed time which action happens then, for training on the past.

    Of actions that overlap the one whose middle is nearest counts. (AVT and AFFT take
    the one for which half of its *duration* is nearest to the time in the video, which
    depends on where in the film it is: base_video_dataset.py of AVT at b082c99, line
    727.)

    Args:
        stream: whose times are labelled.

    Required keys: times of one view; ``segments`` in extra, of the dataset's
    ``past_seconds``; ann_meta. Added keys: past_label, ``{task: (t,) int64}``, -1 where
    nothing has a label.
    """

    def __init__(self, stream: str = "video") -> None:
        self.stream = stream

    def transform(self, results: dict) -> dict:
        segments = (results.get("extra") or {}).get("segments")
        if segments is None:
            raise InputError(
                f"sample {results.get('sample_id')!r} has no segments; expected the"
                " dataset's past_seconds=... before LabelObserved"
            )
        times = times_of(results, self.stream)
        if len(times) != 1:
            raise InputError(
                f"times of {self.stream!r} have {len(times)} views, expected 1"
            )
        tasks = results["ann_meta"]["classes"]
        results["past_label"] = labels_at(times[0], segments, tasks)
        return results


def labels_at(
    times: np.ndarray, segments: Sequence[Sequence[Any]], tasks: Sequence[str]
) -> dict[str, np.ndarray]:
    """Class of each time, (t,) int64 by task, -1 for none.

    >>> labels_at(np.array([1.0, 4.0]), [[0.0, 2.0, {"verb": 7}]], ["verb"])
    {'verb': array([ 7, -1])}
    """
    labels = {task: np.full(len(times), NO_LABEL, np.int64) for task in tasks}
    for place, time in enumerate(times):
        there = [one for one in segments if one[0] <= time <= one[1]]
        if there:
            nearest = min(there, key=lambda one: abs(time - (one[0] + one[1]) / 2))
            for task, label in nearest[2].items():
                if task in labels:
                    labels[task][place] = label
    return labels
