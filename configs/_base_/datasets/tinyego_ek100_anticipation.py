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

_window = dict(
    type=SampleObservedFrames, num_frames=dict(video=2), tau_a=1.0, tau_o=1.6
)
_train_frames[0] = dict(_window, mode="random", drop="empty")
_val_frames[0] = dict(_window, mode="uniform")
train_pipeline = [*_train_frames, _tokenize, _pack]
val_pipeline = [*_val_frames, _tokenize, _pack]

train_dataloader.dataset.update(
    questions="questions/observed_train.jsonl", pipeline=train_pipeline
)
val_dataloader.dataset.update(
    questions="questions/observed_validation.jsonl", pipeline=val_pipeline
)
val_evaluator[0].task = "anticipation"
val_evaluator[1].questions = "questions/observed_train.jsonl"
val_evaluator.append(dict(type=EpicKitchensMetric))  # top-1 too
test_dataloader = val_dataloader
test_evaluator = val_evaluator
