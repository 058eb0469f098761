"""Accuracy of a model, and tests of one model against another."""

from mmfusion.evaluation.metrics import (
    AccuracyMetric,
    EpicKitchensMetric,
    LeakMeterMetric,
)

__all__ = ["AccuracyMetric", "EpicKitchensMetric", "LeakMeterMetric"]
