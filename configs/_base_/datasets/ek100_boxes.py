"""EPIC-KITCHENS-100 for ORViT: video, boxes of two hands and two objects, questions."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    AlignBoxes,
    DecodeVideo,
    LoadBoxes,
    PackInputs,
    SampleTimes,
    TokenizeQuestions,
)

with read_base():
    from .ek100 import *

_meta_keys = ("video_id", "participant_id", "question_source", "question_tasks")
_tokenize = dict(
    type=TokenizeQuestions, tokenizer="FacebookAI/roberta-base", max_length=40
)
_streams = ("video", "boxes", "text")
train_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=16), mode="random"),
    dict(type=DecodeVideo),
    dict(type=LoadBoxes, num_boxes=4),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.5, 1.0)),
    dict(type="mmaction.Resize", scale=(224, 224), keep_ratio=False),
    dict(type=AlignBoxes),
    _tokenize,
    dict(type=PackInputs, streams=_streams, meta_keys=_meta_keys),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=16), mode="uniform"),
    dict(type=DecodeVideo),
    dict(type=LoadBoxes, num_boxes=4),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.CenterCrop", crop_size=224),
    dict(type=AlignBoxes),
    _tokenize,
    dict(type=PackInputs, streams=_streams, meta_keys=_meta_keys),
]
train_dataloader.dataset.update(pipeline=train_pipeline, boxes_dir="boxes")
val_dataloader.dataset.update(pipeline=val_pipeline, boxes_dir="boxes")
test_dataloader.dataset.update(pipeline=val_pipeline, boxes_dir="boxes")
