"""EPIC-KITCHENS-100 as ORViT reads it: 336 px, and boxes of two hands and two objects.

Boxes follow crops and flips, but not RandAugment, which is left out; testing takes the
middle crop of 10 windows, where the authors take three crops of each.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import DecodeVideo, PackInputs, SampleWindow

with read_base():
    from .ek100 import *

_window = dict(type=SampleWindow, num_frames=16, seconds=64 / 30)
_pack = dict(type=PackInputs, streams=("video", "boxes"))
train_pipeline = [
    _window,
    dict(type=DecodeVideo),
    dict(type="mmaction.RandomRescale", scale_range=(384, 480)),
    dict(type="mmaction.RandomCrop", size=336),
    dict(type="mmaction.Flip", flip_ratio=0.5),
    *_boxes,
    _pack,
]
val_pipeline = [
    dict(_window, mode="uniform"),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 336)),
    dict(type="mmaction.CenterCrop", crop_size=336),
    *_boxes,
    _pack,
]
test_pipeline = [dict(_window, mode="uniform", num_views=10), *val_pipeline[1:]]
train_dataloader.batch_size = 2  # of each of 8 GPUs
train_dataloader.dataset.update(pipeline=train_pipeline, questions=None)
val_dataloader.dataset.update(pipeline=val_pipeline, questions=None)
test_dataloader.batch_size = 2  # of 10 views each
test_dataloader.dataset.update(pipeline=test_pipeline, questions=None)
