"""How good a model is, and whether another one is better."""

from mmfusion.evaluation.metrics import AccuracyMetric, DumpPredictions

__all__ = ["AccuracyMetric", "DumpPredictions"]
