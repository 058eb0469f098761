"""All that a file of predictions tells about one model, as plain values."""

from typing import Any

from mmfusion.evaluation.answers import answers, tasks_of
from mmfusion.evaluation.by_class import class_report
from mmfusion.evaluation.calibration import calibration
from mmfusion.evaluation.predictions import Predictions


def report_of(predictions: Predictions) -> dict[str, Any]:
    """Accuracy by class, confusion matrix and calibration of each task.

    Tasks of which a clip has no label are left out.

    Returns:
        ``{task: {...}}`` as of ``ClassReport.as_dict``, and ``calibration`` as of
        ``Calibration.as_dict`` where the scores are probabilities.
    """
    found = {}
    for task in tasks_of(predictions):
        own = answers(predictions, task)
        found[task] = class_report(own).as_dict()
        if own.are_probabilities:
            found[task]["calibration"] = calibration(own).as_dict()
    return found
