"""Hooks: checkpoints, stopping, logging, predictions."""

from mmfusion.engine.hooks.atomic_checkpoint_hook import AtomicCheckpointHook
from mmfusion.engine.hooks.bad_sample_hook import BadSampleHook
from mmfusion.engine.hooks.early_stop_hook import EarlyStopHook
from mmfusion.engine.hooks.graceful_stop_hook import GracefulStopHook
from mmfusion.engine.hooks.observed_window_hook import ObservedWindowHook
from mmfusion.engine.hooks.param_log_hook import ParamLogHook
from mmfusion.engine.hooks.prediction_dump_hook import PredictionDumpHook
from mmfusion.engine.hooks.progress_hook import ProgressHook
from mmfusion.engine.hooks.show_predictions_hook import ShowPredictionsHook

__all__ = [
    "AtomicCheckpointHook",
    "BadSampleHook",
    "EarlyStopHook",
    "GracefulStopHook",
    "ObservedWindowHook",
    "ParamLogHook",
    "PredictionDumpHook",
    "ProgressHook",
    "ShowPredictionsHook",
]
