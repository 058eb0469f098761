"""EPIC-KITCHENS-100 for ORViT without questions."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    AlignBoxes,
    DecodeVideo,
    LoadBoxes,
    PackInputs,
    SampleTimes,
)

with read_base():
    from .ek100_boxes import *

_meta_keys = ("video_id", "participant_id")
_streams = ("video", "boxes")
train_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=16), mode="random"),
    dict(type=DecodeVideo),
    dict(type=LoadBoxes, num_boxes=4),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.5, 1.0)),
    dict(type="mmaction.Resize", scale=(224, 224), keep_ratio=False),
    dict(type=AlignBoxes),
    dict(type=PackInputs, streams=_streams, meta_keys=_meta_keys),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=16), mode="uniform"),
    dict(type=DecodeVideo),
    dict(type=LoadBoxes, num_boxes=4),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.CenterCrop", crop_size=224),
    dict(type=AlignBoxes),
    dict(type=PackInputs, streams=_streams, meta_keys=_meta_keys),
]
train_dataloader.dataset.update(pipeline=train_pipeline, questions=None)
val_dataloader.dataset.update(pipeline=val_pipeline, questions=None)
test_dataloader.dataset.update(pipeline=val_pipeline, questions=None)
