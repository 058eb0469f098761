"""Metrics: thin shells of MMEngine around the pure functions."""

from mmfusion.evaluation.metrics.accuracy_metric import AccuracyMetric
from mmfusion.evaluation.metrics.dump_predictions import DumpPredictions

__all__ = ["AccuracyMetric", "DumpPredictions"]
