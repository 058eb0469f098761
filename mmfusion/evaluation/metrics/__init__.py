"""Metrics: thin shells of MMEngine around the pure functions."""

from mmfusion.evaluation.metrics.accuracy_metric import AccuracyMetric
from mmfusion.evaluation.metrics.class_report_metric import ClassReportMetric
from mmfusion.evaluation.metrics.epic_kitchens_metric import EpicKitchensMetric
from mmfusion.evaluation.metrics.leak_meter_metric import LeakMeterMetric
from mmfusion.evaluation.metrics.online_detection_metric import OnlineDetectionMetric
from mmfusion.evaluation.metrics.stream_anticipation_metric import (
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
