"""Running: the runner, its loop, hooks, checkpoints and the optimizer wrapper."""

from mmfusion.engine.hooks.atomic_checkpoint_hook import AtomicCheckpointHook
from mmfusion.engine.hooks.bad_sample_hook import BadSampleHook
from mmfusion.engine.hooks.balance_streams_hook import BalanceStreamsHook
from mmfusion.engine.hooks.early_stop_hook import EarlyStopHook
from mmfusion.engine.hooks.graceful_stop_hook import GracefulStopHook
from mmfusion.engine.hooks.observed_window_hook import ObservedWindowHook
from mmfusion.engine.hooks.param_log_hook import ParamLogHook
from mmfusion.engine.hooks.prediction_dump_hook import PredictionDumpHook
from mmfusion.engine.hooks.progress_hook import ProgressHook
from mmfusion.engine.hooks.show_predictions_hook import ShowPredictionsHook
from mmfusion.engine.hooks.stream_presence_hook import StreamPresenceHook
from mmfusion.engine.hooks.subset_scores_hook import SubsetScoresHook
from mmfusion.engine.optimizers.fusion_optim_wrapper import FusionOptimWrapper
from mmfusion.engine.optimizers.grouped_constructor import (
    GroupedOptimWrapperConstructor,
)
from mmfusion.engine.runner.fusion_runner import FusionRunner
from mmfusion.engine.runner.resumable_train_loop import ResumableTrainLoop

__all__ = [
    "AtomicCheckpointHook",
    "BadSampleHook",
    "BalanceStreamsHook",
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
    "StreamPresenceHook",
    "SubsetScoresHook",
]
