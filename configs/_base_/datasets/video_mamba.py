"""Pipelines of VideoMamba: 8 frames of 224 px, in training seen twice.

A dataset adds its class and its files, and may cut segments otherwise (`rule`).
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    DecodeVideo,
    PackInputs,
    RandAugment,
    RepeatAugment,
    SampleSegments,
)

with read_base():
    from .loaders import *

_see = [
    dict(type=RandAugment, magnitude=7, num_ops=4, magnitude_std=0.5),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.08, 1.0)),
    dict(type="mmaction.Resize", scale=(224, 224), keep_ratio=False),
    dict(
        type="mmaction.RandomErasing",
        erase_prob=0.25,
        mode="rand",
        fill_color=(123.675, 116.28, 103.53),
        fill_std=(58.395, 57.12, 57.375),
    ),
]
_segments = dict(type=SampleSegments, num_frames=8, rule="floored")
train_pipeline = [
    dict(_segments, mode="random"),
    dict(type=DecodeVideo),
    dict(type=RepeatAugment, num_repeats=2, transforms=_see),
    dict(type=PackInputs, streams=("video",)),
]
val_pipeline = [
    dict(_segments, mode="uniform"),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.CenterCrop", crop_size=224),
    dict(type=PackInputs, streams=("video",)),
]
test_pipeline = [
    dict(_segments, mode="uniform", num_views=2),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.ThreeCrop", crop_size=224),
    dict(type=PackInputs, streams=("video",)),
]

train_dataloader.update(batch_size=64, num_workers=12)  # of each of 8 GPUs
val_dataloader.update(batch_size=64, num_workers=12)
test_dataloader.update(batch_size=16, num_workers=12, persistent_workers=False)
