"""Running: the runner, its loop, hooks, checkpoints and the optimizer wrapper."""

from mmfusion.engine.checkpoint import load_checked, save_atomic, state_dict_difference
from mmfusion.engine.errors import (
    CheckpointError,
    ConfigError,
    NonFiniteError,
    TrainingStopped,
    WorkDirError,
)
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
    "CheckpointError",
    "ConfigError",
    "EarlyStopHook",
    "FusionOptimWrapper",
    "FusionRunner",
    "GracefulStopHook",
    "GroupedOptimWrapperConstructor",
    "NonFiniteError",
    "ObservedWindowHook",
    "ParamLogHook",
    "PredictionDumpHook",
    "ProgressHook",
    "ResumableTrainLoop",
    "ShowPredictionsHook",
    "TrainingStopped",
    "WorkDirError",
    "load_checked",
    "save_atomic",
    "state_dict_difference",
]
