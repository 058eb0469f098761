"""TinyEgo's kitchen: the video alone."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import PackInputs

with read_base():
    from .tinyego_ek100 import *

_pack = dict(type=PackInputs, streams=("video",))
train_pipeline = [*_train_frames, _pack]
val_pipeline = [*_val_frames, _pack]
train_dataloader.dataset.update(pipeline=train_pipeline, questions=None)
val_dataloader.dataset.update(pipeline=val_pipeline, questions=None)
test_dataloader = val_dataloader
