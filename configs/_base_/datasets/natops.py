"""NATOPS: aircraft signals, two arms of 4 points, 51 frames, 6 classes, 180 / 180.

    python tools/data/custom/prepare.py natops.npz --out data/natops --unit m \
        --layout natops_arm --fps 20 --split-by field:split --val-fraction 0

There is no val split: the last checkpoint is tested, and the test split is looked at
once, after the last epoch.
"""

from mmengine.config import read_base

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.transforms import (
    JitterSkeleton,
    LoadSkeleton,
    NormalizeSkeleton,
    PackInputs,
    SampleTimes,
)

with read_base():
    from .loaders import *

train_pipeline = [
    dict(
        type=SampleTimes,
        num_frames=dict(skeleton=32),
        mode="smooth",
        window=(0.7, 1.0),
    ),
    dict(type=LoadSkeleton, interpolate=True),
    dict(type=NormalizeSkeleton, mode="size", origin="middle"),
    dict(
        type=JitterSkeleton,
        scale=0.15,
        rotation=(10.0, 15.0, 15.0),
        noise=0.02,
        drop_prob=0.05,
        drop_run=4.0,
    ),
    dict(type=PackInputs, streams=("skeleton",)),
]
test_pipeline = [
    dict(type=SampleTimes, num_frames=dict(skeleton=32), mode="uniform"),
    dict(type=LoadSkeleton, interpolate=True),
    dict(type=NormalizeSkeleton, mode="size", origin="middle"),
    dict(type=PackInputs, streams=("skeleton",)),
]

_files = dict(
    type=MultiModalDataset,
    ann_file="annotation.json",
    made_by="python tools/data/custom/prepare.py natops.npz --out {data_root} --unit m"
    " --layout natops_arm --fps 20 --split-by field:split --val-fraction 0",
    data_root="data/natops",
)
train_dataloader.num_workers = 1
train_dataloader.dataset = dict(_files, split="train", pipeline=train_pipeline)
val_dataloader.update(batch_size=60, num_workers=1, persistent_workers=False)
val_dataloader.dataset.update(_files, split="test", pipeline=test_pipeline)
test_dataloader = val_dataloader
