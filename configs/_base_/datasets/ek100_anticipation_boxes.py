"""EPIC-KITCHENS-100, anticipation: with boxes of two hands and two objects."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import PackInputs

with read_base():
    from .ek100_anticipation import *

_pack = dict(type=PackInputs, streams=("video", "boxes", "text"))
train_pipeline = [*_train_frames, *_boxes, _tokenize, _pack]
val_pipeline = [*_val_frames, *_boxes, _tokenize, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
