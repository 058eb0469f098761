"""EPIC-KITCHENS-100, anticipation: 16 frames of the 64 / 30 s that end 1 s before.

Questions are worded for what a recogniser says about the observed frames:
configs/mambavl/README.md makes them.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import SampleObservedFrames

with read_base():
    from .ek100 import *

_window = dict(
    type=SampleObservedFrames, num_frames=dict(video=16), tau_a=1.0, tau_o=64 / 30
)
_train_frames[0] = dict(_window, mode="random", drop="empty")
_val_frames[0] = dict(_window, mode="uniform")
train_pipeline = [*_train_frames, _tokenize, _pack]
val_pipeline = [*_val_frames, _tokenize, _pack]

train_dataloader.batch_size = 3  # of each of 8 GPUs
train_dataloader.dataset.update(
    questions="questions/observed_train.jsonl", pipeline=train_pipeline
)
val_dataloader.dataset.update(
    questions="questions/observed_validation.jsonl", pipeline=val_pipeline
)
val_evaluator[0].task = "anticipation"
val_evaluator[1].questions = "questions/observed_train.jsonl"
test_dataloader = val_dataloader
test_evaluator = val_evaluator
