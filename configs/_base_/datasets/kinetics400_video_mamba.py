"""Kinetics-400 as VideoMamba trains on it: 8 frames of 224 px, seen twice, flipped.

data/kinetics400/{train,val}/<youtube_id>_000010_000020.mp4 and the official
data/kinetics400/annotations/{train,val}.csv. Videos that are not there are left out,
and the log says how many: the published numbers are those of the authors' own copy.
"""

from mmengine.config import read_base

from mmfusion.datasets import VideoListDataset
from mmfusion.datasets.transforms import (
    DecodeVideo,
    PackInputs,
    RandAugment,
    RepeatAugment,
    SampleSegments,
)

with read_base():
    from .ssv2_video_mamba import *

_see = [
    dict(type=RandAugment, magnitude=7, num_ops=4, magnitude_std=0.5),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.08, 1.0)),
    dict(type="mmaction.Resize", scale=(224, 224), keep_ratio=False),
    dict(type="mmaction.Flip", flip_ratio=0.5),
    dict(
        type="mmaction.RandomErasing",
        erase_prob=0.25,
        mode="rand",
        fill_color=(123.675, 116.28, 103.53),
        fill_std=(58.395, 57.12, 57.375),
    ),
]
train_pipeline = [
    dict(type=SampleSegments, num_frames=8, rule="rounded", mode="random"),
    dict(type=DecodeVideo),
    dict(type=RepeatAugment, num_repeats=2, transforms=_see),
    dict(type=PackInputs, streams=("video",)),
]
val_pipeline = [
    dict(type=SampleSegments, num_frames=8, rule="rounded", mode="uniform"),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.CenterCrop", crop_size=224),
    dict(type=PackInputs, streams=("video",)),
]
test_pipeline = [
    dict(
        type=SampleSegments, num_frames=8, rule="rounded", mode="uniform", num_views=4
    ),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.ThreeCrop", crop_size=224),
    dict(type=PackInputs, streams=("video",)),
]
train_dataloader.dataset = dict(
    type=VideoListDataset,
    list_file="annotations/train.csv",
    layout="kinetics",
    prefix="train",
    data_root="data/kinetics400",
    split="train",
    drop_missing=True,
    num_classes=dict(action=400),
    pipeline=train_pipeline,
    on_error=dict(policy="replace", max_bad=0.01),
)
val_dataloader.dataset = dict(
    type=VideoListDataset,
    list_file="annotations/val.csv",
    layout="kinetics",
    prefix="val",
    data_root="data/kinetics400",
    split="val",
    drop_missing=True,
    num_classes=dict(action=400),
    pipeline=val_pipeline,
    test_mode=True,
)
test_dataloader.dataset = dict(
    type=VideoListDataset,
    list_file="annotations/val.csv",
    layout="kinetics",
    prefix="val",
    data_root="data/kinetics400",
    split="val",
    drop_missing=True,
    num_classes=dict(action=400),
    pipeline=test_pipeline,
    test_mode=True,
)
