"""TinyEgo, the video stream alone."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    DecodeVideo,
    PackInputs,
    SampleTimes,
)

with read_base():
    from .tinyego import *

train_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=8), mode="random"),
    dict(type=DecodeVideo),
    dict(
        type="mmaction.RandomResizedCrop",
        area_range=(0.8, 1.0),
        aspect_ratio_range=(1.6, 2.0),  # about the frames' own, which testing squashes
    ),
    dict(type="mmaction.Resize", scale=(64, 64), keep_ratio=False),
    dict(type=PackInputs, streams=("video",)),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=8), mode="uniform"),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(64, 64), keep_ratio=False),
    dict(type=PackInputs, streams=("video",)),
]
# no skeleton caches are needed
train_dataloader.dataset.update(pipeline=train_pipeline, cache_dir=None)
val_dataloader.dataset.update(pipeline=val_pipeline, cache_dir=None)
test_dataloader = val_dataloader
