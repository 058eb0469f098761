"""Accuracy of a model, and tests of one model against another."""

from mmfusion.evaluation.metrics import (
    AccuracyMetric,
    ClassReportMetric,
    EpicKitchensMetric,
    LeakMeterMetric,
    OnlineDetectionMetric,
    StreamAnticipationMetric,
)

__all__ = [
    "AccuracyMetric",
    "ClassReportMetric",
    "EpicKitchensMetric",
    "LeakMeterMetric",
    "OnlineDetectionMetric",
    "StreamAnticipationMetric",
]
