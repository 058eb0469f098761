"""TinyEgo's kitchen with questions in training; a test has the video alone."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import PackInputs

with read_base():
    from .tinyego_ek100 import *

val_pipeline = [*_val_frames, dict(type=PackInputs, streams=("video",))]
val_dataloader.dataset.update(pipeline=val_pipeline, questions=None)
test_dataloader = val_dataloader
