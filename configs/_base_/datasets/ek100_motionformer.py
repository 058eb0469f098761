"""EPIC-KITCHENS-100 as Motionformer reads it: 16 frames of a window of 2.1 seconds."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    DecodeVideo,
    PackInputs,
    RandAugment,
    SampleWindow,
)

with read_base():
    from .ek100 import *

_window = dict(type=SampleWindow, num_frames=16, seconds=64 / 30)
train_pipeline = [
    _window,
    dict(type=DecodeVideo),
    dict(
        type=RandAugment,
        magnitude=15,  # counts as 10, the most
        num_ops=2,
        magnitude_std=0.5,
        fill=(128, 128, 128),
    ),
    dict(type="mmaction.RandomRescale", scale_range=(256, 320)),
    dict(type="mmaction.RandomCrop", size=224),
    dict(type="mmaction.Flip", flip_ratio=0.5),
    dict(type=PackInputs, streams=("video",)),
]
val_pipeline = [
    dict(_window, mode="uniform"),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.CenterCrop", crop_size=224),
    dict(type=PackInputs, streams=("video",)),
]
test_pipeline = [
    dict(_window, mode="uniform", num_views=10),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.ThreeCrop", crop_size=224),
    dict(type=PackInputs, streams=("video",)),
]
train_dataloader.dataset.update(pipeline=train_pipeline, questions=None)
val_dataloader.dataset.update(pipeline=val_pipeline, questions=None)
test_dataloader.batch_size = 2  # of 30 views each
test_dataloader.dataset.update(pipeline=test_pipeline, questions=None)
