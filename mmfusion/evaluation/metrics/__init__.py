"""Metrics: thin shells of MMEngine around the pure functions."""

from mmfusion.evaluation.metrics.accuracy_metric import AccuracyMetric
from mmfusion.evaluation.metrics.class_report_metric import ClassReportMetric
from mmfusion.evaluation.metrics.epic_kitchens_metric import EpicKitchensMetric
from mmfusion.evaluation.metrics.leak_meter_metric import LeakMeterMetric

__all__ = [
    "AccuracyMetric",
    "ClassReportMetric",
    "EpicKitchensMetric",
    "LeakMeterMetric",
]
