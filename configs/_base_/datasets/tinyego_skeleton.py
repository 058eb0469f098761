"""TinyEgo, the hands alone."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    JitterSkeleton,
    LoadSkeleton,
    NormalizeSkeleton,
    PackInputs,
    SampleTimes,
)

with read_base():
    from .tinyego import *

train_pipeline = [
    dict(type=SampleTimes, num_frames=dict(skeleton=16), mode="random"),
    dict(type=LoadSkeleton),
    dict(type=NormalizeSkeleton, mode="wrist", scale=10.0),
    dict(type=JitterSkeleton, scale=0.1, rotation=0.1, noise=0.01),
    dict(type=PackInputs, streams=("skeleton",)),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=dict(skeleton=16), mode="uniform"),
    dict(type=LoadSkeleton),
    dict(type=NormalizeSkeleton, mode="wrist", scale=10.0),
    dict(type=PackInputs, streams=("skeleton",)),
]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
