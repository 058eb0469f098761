"""Metrics: thin shells of MMEngine around the pure functions."""

from mmfusion.evaluation.metrics.accuracy_metric import AccuracyMetric

__all__ = ["AccuracyMetric"]
