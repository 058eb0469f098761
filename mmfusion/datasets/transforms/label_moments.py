"""Labels of every moment of a window, for online detection and anticipation."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.transforms.sample_times import times_of
from mmfusion.datasets.untrimmed import AROUND
from mmfusion.registry import TRANSFORMS
from mmfusion.structures import POINTS
from mmfusion.utils.errors import InputError


@TRANSFORMS.register_module()
class LabelMoments(BaseTransform):
    """Say of every time of a stream which actions happen then, or are to come.

    The last class is background, where no action has a label. Of actions that overlap
    each has an equal share.

    Args:
        stream: whose times are labelled: that with the clock of the model's answers.
        tau_a: seconds: the label of t is that of t + tau_a, as in anticipation.
        points: None labels actions as long as they last; ``start`` or ``end`` only the
            moment nearest to it, the rest is background (Mamba-OTR's targets).

    Required keys: times; ``segments`` in extra, see ``datasets/untrimmed.py``;
    ann_meta. Added keys: moments, seconds (t,) of the labelled times; tau_a, where it
    is not 0. Modified keys: label, ``{task: (t, k + 1) float32}``, each row with the
    sum 1, or 0 where ``times_mask`` says that no frame is there: it has no label.
    """

    def __init__(
        self, stream: str = "video", *, tau_a: float = 0.0, points: str | None = None
    ) -> None:
        if not 0 <= tau_a <= AROUND:
            raise InputError(f"tau_a: got {tau_a}; expected 0 to {AROUND:g} seconds")
        if points is not None and points not in POINTS:
            raise InputError(
                f"points: got {points!r}; expected None or one of {POINTS}"
            )
        self.stream, self.tau_a, self.points = stream, float(tau_a), points

    def transform(self, results: dict) -> dict:
        segments = (results.get("extra") or {}).get("segments")
        if segments is None:
            raise InputError(
                f"sample {results.get('sample_id')!r} has no segments; expected the"
                " dataset's untrimmed=dict(...) before LabelMoments"
            )
        times = times_of(results, self.stream)[0]  # (t,)
        masks = results.get("times_mask", {})
        there = masks.get(self.stream, np.ones((1, len(times)), bool))[0]  # (t,)
        results["moments"] = times
        if self.tau_a:
            results["tau_a"] = self.tau_a
        results["label"] = {
            task: there[:, None]
            * self._labels(times + self.tau_a, segments, task, len(names) - 1)
            for task, names in results["ann_meta"]["classes"].items()
        }
        return results

    def _labels(
        self, times: np.ndarray, segments: list, task: str, num_classes: int
    ) -> np.ndarray:
        """(t, k + 1), each row sums to 1."""
        found = np.zeros((len(times), num_classes + 1), np.float32)
        for start, end, label in segments:
            if task in label:
                found[during(times, start, end, self.points), label[task]] = 1
        found[:, -1] = ~found.any(axis=1)
        return found / found.sum(axis=1, keepdims=True)


def during(
    times: np.ndarray, start: float, end: float, points: str | None
) -> np.ndarray:
    """Times, (t,) evenly spaced, that belong to an action: (t,) bool.

    An action has the times from its start on, without its end; of a point, the one time
    that is nearest, the earlier of two, if it is within half a step.
    """
    if points is None:
        return (times >= start - 1e-6) & (times < end - 1e-6)
    point = start if points == "start" else end
    gap = np.abs(times - point)
    step = times[1] - times[0] if len(times) > 1 else np.inf
    chosen = np.zeros(len(times), bool)
    if gap.min() <= step / 2 + 1e-6:
        chosen[gap.argmin()] = True
    return chosen
