"""TinyEgo's kitchen, anticipation: 2 frames of the 1.6 s that end 1 s before.

A pause takes 2.8 s at least, so that nothing of the action before it is
seen; it is still, so that two frames tell what eight do.
Questions are worded for what a recogniser says about the observed frames:
configs/mambavl/README.md makes them.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import SampleObservedFrames
from mmfusion.evaluation import EpicKitchensMetric

with read_base():
    from .tinyego_ek100 import *

_meta_keys = ("video_id", "participant_id", "question_source", "question_tasks")
_protocol = ("tau_a", "tau_o", "padded", "sampling", "observed_times")
_window = dict(num_frames=dict(video=2), tau_a=1.0, tau_o=1.6)
_train_times = dict(type=SampleObservedFrames, mode="random", drop="empty", **_window)
_val_times = dict(type=SampleObservedFrames, mode="uniform", **_window)
train_dataloader.dataset.pipeline[0] = _train_times
train_dataloader.dataset.pipeline[2].area_range = (0.6, 1.0)
val_dataloader.dataset.pipeline[0] = _val_times
test_dataloader.dataset.pipeline[0] = _val_times
train_dataloader.dataset.pipeline[-1].meta_keys = _meta_keys + _protocol
val_dataloader.dataset.pipeline[-1].meta_keys = _meta_keys + _protocol
test_dataloader.dataset.pipeline[-1].meta_keys = _meta_keys + _protocol
val_evaluator[0] = dict(type=EpicKitchensMetric, task="anticipation")
test_evaluator[0] = dict(type=EpicKitchensMetric, task="anticipation")
val_evaluator.append(dict(type=EpicKitchensMetric))  # top-1 too
test_evaluator.append(dict(type=EpicKitchensMetric))
train_dataloader.dataset.questions = "questions/observed_train.jsonl"
val_dataloader.dataset.questions = "questions/observed_validation.jsonl"
test_dataloader.dataset.questions = "questions/observed_validation.jsonl"
val_evaluator[1].questions = "questions/observed_train.jsonl"
test_evaluator[1].questions = "questions/observed_train.jsonl"
