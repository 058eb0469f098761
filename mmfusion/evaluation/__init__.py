"""How good a model is, and whether another one is better."""

from mmfusion.evaluation.metrics import (
    AccuracyMetric,
    EpicKitchensMetric,
    LeakMeterMetric,
)

__all__ = ["AccuracyMetric", "EpicKitchensMetric", "LeakMeterMetric"]
