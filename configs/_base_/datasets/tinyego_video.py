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
    _crop,
    _resize,
    dict(type=PackInputs, streams=("video",)),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=8), mode="uniform"),
    dict(type=DecodeVideo),
    _resize,
    dict(type=PackInputs, streams=("video",)),
]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
