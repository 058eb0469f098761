"""Metrics: thin shells of MMEngine around the pure functions."""

from mmfusion.evaluation.metrics.accuracy_metric import AccuracyMetric
from mmfusion.evaluation.metrics.epic_kitchens_metric import EpicKitchensMetric

__all__ = ["AccuracyMetric", "EpicKitchensMetric"]
