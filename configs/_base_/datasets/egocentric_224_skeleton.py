"""Pipelines of H2O and OakInk2, the hands alone: 32 frames."""

from mmfusion.datasets.transforms import (
    FlipSkeleton,
    LoadSkeleton,
    NormalizeSkeleton,
    PackInputs,
    SampleTimes,
)

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
