"""Running: the runner, its loop, hooks, checkpoints and the optimizer wrapper."""

from mmfusion.engine.hooks import (
    AtomicCheckpointHook,
    BadSampleHook,
    EarlyStopHook,
    GracefulStopHook,
    ObservedWindowHook,
    ParamLogHook,
    PredictionDumpHook,
    ProgressHook,
    ShowPredictionsHook,
)
from mmfusion.engine.optimizers import (
    FusionOptimWrapper,
    GroupedOptimWrapperConstructor,
)
from mmfusion.engine.runner import FusionRunner, ResumableTrainLoop

__all__ = [
    "AtomicCheckpointHook",
    "BadSampleHook",
    "EarlyStopHook",
    "FusionOptimWrapper",
    "FusionRunner",
    "GracefulStopHook",
    "GroupedOptimWrapperConstructor",
    "ObservedWindowHook",
    "ParamLogHook",
    "PredictionDumpHook",
    "ProgressHook",
    "ResumableTrainLoop",
    "ShowPredictionsHook",
]
