"""Top-k and mean class accuracy of every task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mmfusion.evaluation.functional import mean_class_accuracy, topk_correct
from mmfusion.evaluation.predictions import Predictions, from_rows, prediction_row
from mmfusion.registry import METRICS
from mmfusion.utils.errors import InputError


@METRICS.register_module()
class AccuracyMetric(BaseMetric):
    """``<task>/top<k>`` and ``<task>/mean_class`` in percent.

    Reads ``gt_<task>`` and ``score_<task>``. A clip without a label, an id that comes
    twice and a score that is not finite are errors: none may pass as a number.

    Args:
        tasks: the tasks to report; None takes all that the model scores.
        topk: one key for each.
        joint_tasks: a task that is right where all of several others are, such as
            ``{"action": ("verb", "noun")}``: top-k where each is among its k best.
        collect_device: where results of several processes meet, as in MMEngine.
        prefix: put before every key; none by default.

    Example:
        >>> metric = AccuracyMetric(topk=(1,))
        >>> metric.tasks is None
        True
    """

    default_prefix = ""  # None would make MMEngine warn

    def __init__(
        self,
        tasks: Sequence[str] | None = None,
        topk: Sequence[int] = (1, 5),
        *,
        joint_tasks: Mapping[str, Sequence[str]] | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        if isinstance(tasks, str):
            raise InputError(f"tasks: got {tasks!r}, expected a list of names")
        if not topk or min(topk) < 1:
            raise InputError(f"topk: got {topk!r}, expected positive numbers")
        self.tasks = None if tasks is None else tuple(tasks)
        self.topk = tuple(topk)
        self.joint_tasks = dict(joint_tasks or {})

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep id, labels and scores of a batch."""
        self.results.extend(prediction_row(sample) for sample in data_samples)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Accuracies of all clips, percent."""
        predictions = from_rows(results)
        metrics: dict[str, float] = {}
        for task in self.tasks or sorted(predictions.score):
            score, labels = _scored(predictions, task)
            for k in self.topk:
                metrics[f"{task}/top{k}"] = _percent(topk_correct(score, labels, k))
            metrics[f"{task}/mean_class"] = mean_class_accuracy(score, labels)
        for task, parts in self.joint_tasks.items():
            scored = [_scored(predictions, part) for part in parts]
            for k in self.topk:
                right = [topk_correct(score, labels, k) for score, labels in scored]
                metrics[f"{task}/top{k}"] = _percent(np.all(right, axis=0))
        return metrics


def _scored(predictions: Predictions, task: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, k) and labels (n,) of a task."""
    if task not in predictions.score:
        raise InputError(
            f"tasks: the model gives no scores for {task!r}, only for "
            f"{sorted(predictions.score)}"
        )
    return predictions.score[task], predictions.labels(task)


def _percent(correct: np.ndarray) -> float:
    return 100.0 * float(correct.mean())
