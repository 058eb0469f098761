"""The runner and its training loop."""

from mmfusion.engine.runner.fusion_runner import FusionRunner
from mmfusion.engine.runner.resumable_train_loop import ResumableTrainLoop

__all__ = ["FusionRunner", "ResumableTrainLoop"]
