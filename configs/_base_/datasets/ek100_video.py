"""EPIC-KITCHENS-100, the video alone."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import DecodeVideo, PackInputs, SampleTimes

with read_base():
    from .ek100 import *

_meta_keys = ("video_id", "participant_id")
train_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=16), mode="random"),
    dict(type=DecodeVideo),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.5, 1.0)),
    dict(type="mmaction.Resize", scale=(224, 224), keep_ratio=False),
    dict(type=PackInputs, streams=("video",), meta_keys=_meta_keys),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=16), mode="uniform"),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.CenterCrop", crop_size=224),
    dict(type=PackInputs, streams=("video",), meta_keys=_meta_keys),
]
train_dataloader.dataset.update(pipeline=train_pipeline, questions=None)
val_dataloader.dataset.update(pipeline=val_pipeline, questions=None)
test_dataloader.dataset.update(pipeline=val_pipeline, questions=None)
