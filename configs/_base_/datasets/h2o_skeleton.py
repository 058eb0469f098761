"""H2O, the hands alone."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    FlipSkeleton,
    LoadSkeleton,
    NormalizeSkeleton,
    PackInputs,
    SampleTimes,
)

with read_base():
    from .h2o import *

train_pipeline = [
    dict(type=SampleTimes, num_frames=dict(skeleton=32), mode="random"),
    dict(type=LoadSkeleton),
    dict(type=FlipSkeleton, flip_prob=0.5),
    dict(type=NormalizeSkeleton, mode="first_wrist", scale=5.0),
    dict(type=PackInputs, streams=("skeleton",)),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=dict(skeleton=32), mode="uniform"),
    dict(type=LoadSkeleton),
    dict(type=NormalizeSkeleton, mode="first_wrist", scale=5.0),
    dict(type=PackInputs, streams=("skeleton",)),
]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader.dataset.pipeline = val_pipeline
