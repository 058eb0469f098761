"""Hooks: checkpoints, stopping, logging."""

from mmfusion.engine.hooks.atomic_checkpoint_hook import AtomicCheckpointHook
from mmfusion.engine.hooks.early_stop_hook import EarlyStopHook
from mmfusion.engine.hooks.graceful_stop_hook import GracefulStopHook
from mmfusion.engine.hooks.param_log_hook import ParamLogHook
from mmfusion.engine.hooks.progress_hook import ProgressHook

__all__ = [
    "AtomicCheckpointHook",
    "EarlyStopHook",
    "GracefulStopHook",
    "ParamLogHook",
    "ProgressHook",
]
