"""The worst classes in the log, and whether the scores can be believed."""

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmfusion.evaluation.answers import answers, tasks_of
from mmfusion.evaluation.by_class import class_report, format_worst
from mmfusion.evaluation.calibration import calibration, format_calibration
from mmfusion.evaluation.predictions import from_rows, prediction_row
from mmfusion.registry import METRICS
from mmfusion.structures import of_moments


@METRICS.register_module()
class ClassReportMetric(BaseMetric):
    """``<task>/ece`` in percent, and a short table of the worst classes in the log.

    ``tools/test.py`` adds it to the metrics of the config. The whole confusion matrix
    and every class are in the file that ``--dump`` writes; the functions are those of
    :mod:`mmfusion.evaluation.by_class` and :mod:`mmfusion.evaluation.calibration`.

    Reads ``gt_<task>`` and ``score_<task>`` of every task that has both; samples with
    scores of moments are left to their own metric.

    Args:
        num_worst: classes in the table of a task.
        collect_device: where results of several processes meet, as in MMEngine.
        prefix: put before every key; none by default.

    Example:
        >>> ClassReportMetric(num_worst=3).num_worst
        3
    """

    default_prefix = ""  # None would make MMEngine warn

    def __init__(
        self,
        num_worst: int = 5,
        *,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.num_worst = num_worst

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep id, labels and scores of a batch."""
        clips = [sample for sample in data_samples if not of_moments(sample)]
        self.results.extend(prediction_row(sample) for sample in clips)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Calibration error of every task; the log gets the tables."""
        if not results:
            return {}
        names = (self.dataset_meta or {}).get("classes")
        predictions = from_rows(results, {"classes": names} if names else {})
        metrics, lines = {}, []
        for task in tasks_of(predictions):
            found = answers(predictions, task)
            lines.append(format_worst(class_report(found), self.num_worst))
            if found.are_probabilities:
                sure = calibration(found)
                metrics[f"{task}/ece"] = sure.ece
                lines.append(format_calibration(sure))
        if lines:
            MMLogger.get_current_instance().info("\n".join(lines))
        return metrics
