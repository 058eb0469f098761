"""Pipelines of H2O and OakInk2: 8 frames of 224 px and 32 frames of two hands."""

from mmfusion.datasets.transforms import (
    AlignSkeleton,
    DecodeVideo,
    LoadSkeleton,
    NormalizeSkeleton,
    PackInputs,
    SampleTimes,
)

num_frames = dict(video=8, skeleton=32)

train_pipeline = [
    dict(type=SampleTimes, num_frames=num_frames, mode="random"),
    dict(type=DecodeVideo),
    dict(type=LoadSkeleton),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.5, 1.0)),
    dict(type="mmaction.Resize", scale=(224, 224), keep_ratio=False),
    dict(type="mmaction.Flip", flip_ratio=0.5),
    dict(type=AlignSkeleton),
    dict(type=NormalizeSkeleton, mode="first_wrist", scale=5.0),
    dict(type=PackInputs, streams=("video", "skeleton")),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=num_frames, mode="uniform"),
    dict(type=DecodeVideo),
    dict(type=LoadSkeleton),
    dict(type="mmaction.Resize", scale=(-1, 256)),
    dict(type="mmaction.CenterCrop", crop_size=224),
    dict(type=AlignSkeleton),
    dict(type=NormalizeSkeleton, mode="first_wrist", scale=5.0),
    dict(type=PackInputs, streams=("video", "skeleton")),
]
