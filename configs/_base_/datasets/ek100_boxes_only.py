"""EPIC-KITCHENS-100 for ORViT: video and boxes, no questions."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import PackInputs

with read_base():
    from .ek100_boxes import *

_pack = dict(type=PackInputs, streams=("video", "boxes"))
train_pipeline = [*_train_frames, *_boxes, _pack]
val_pipeline = [*_val_frames, *_boxes, _pack]
train_dataloader.dataset.update(pipeline=train_pipeline, questions=None)
val_dataloader.dataset.update(pipeline=val_pipeline, questions=None)
test_dataloader = val_dataloader
