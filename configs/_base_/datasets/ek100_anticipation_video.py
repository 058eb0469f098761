"""EPIC-KITCHENS-100, anticipation: 16 frames of the 64 / 30 s that end 1 s before.

The video alone.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import SampleObservedFrames
from mmfusion.evaluation import EpicKitchensMetric

with read_base():
    from .ek100_video import *

_meta_keys = ("video_id", "participant_id")
_protocol = ("tau_a", "tau_o", "padded", "sampling", "observed_times")
_window = dict(num_frames=dict(video=16), tau_a=1.0, tau_o=64 / 30)
_train_times = dict(type=SampleObservedFrames, mode="random", drop="empty", **_window)
_val_times = dict(type=SampleObservedFrames, mode="uniform", **_window)
train_dataloader.batch_size = 3  # of each of 8 GPUs
train_dataloader.dataset.pipeline[0] = _train_times
val_dataloader.dataset.pipeline[0] = _val_times
test_dataloader.dataset.pipeline[0] = _val_times
train_dataloader.dataset.pipeline[-1].meta_keys = _meta_keys + _protocol
val_dataloader.dataset.pipeline[-1].meta_keys = _meta_keys + _protocol
test_dataloader.dataset.pipeline[-1].meta_keys = _meta_keys + _protocol
val_evaluator[0] = dict(type=EpicKitchensMetric, task="anticipation")
test_evaluator[0] = dict(type=EpicKitchensMetric, task="anticipation")
