"""Pipelines of H2O and OakInk2, the video alone: 8 frames of 224 px."""

from mmfusion.datasets.transforms import DecodeVideo, PackInputs, SampleTimes

train_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=8), mode="random"),
    dict(type=DecodeVideo),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.5, 1.0)),
    dict(type="mmaction.Resize", scale=(224, 224), keep_ratio=False),
    dict(type="mmaction.Flip", flip_ratio=0.5),
    dict(type=PackInputs, streams=("video",)),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=8), mode="uniform"),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 256)),
    dict(type="mmaction.CenterCrop", crop_size=224),
    dict(type=PackInputs, streams=("video",)),
]
