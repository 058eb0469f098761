"""TinyEgo with both streams in training; a test has the video alone."""

from mmengine.config import read_base

with read_base():
    from .tinyego import *

val_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=8), mode="uniform"),
    dict(type=DecodeVideo),
    _resize,
    dict(type=PackInputs, streams=("video",)),
]
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
