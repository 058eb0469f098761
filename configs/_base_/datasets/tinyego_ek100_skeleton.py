"""TinyEgo's kitchen with 16 frames of two hands beside video and questions."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    AlignSkeleton,
    DecodeVideo,
    JitterSkeleton,
    LoadSkeleton,
    NormalizeSkeleton,
    PackInputs,
    SampleTimes,
    TokenizeQuestions,
)

with read_base():
    from .tinyego_ek100 import *

_meta_keys = ("video_id", "participant_id", "question_source", "question_tasks")
_num_frames = dict(video=8, skeleton=16)
_streams = ("video", "skeleton", "text")
_tokenize = dict(
    type=TokenizeQuestions, tokenizer="data/tinyego_ek100/tokenizer", max_length=24
)
train_pipeline = [
    dict(type=SampleTimes, num_frames=_num_frames, mode="random"),
    dict(type=DecodeVideo),
    dict(type=LoadSkeleton),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.7, 1.0)),
    dict(type="mmaction.Resize", scale=(64, 64), keep_ratio=False),
    dict(type=AlignSkeleton),
    dict(type=NormalizeSkeleton, mode="wrist", scale=10.0),
    dict(type=JitterSkeleton, scale=0.1, rotation=0.1, noise=0.01),
    _tokenize,
    dict(type=PackInputs, streams=_streams, meta_keys=_meta_keys),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=_num_frames, mode="uniform"),
    dict(type=DecodeVideo),
    dict(type=LoadSkeleton),
    dict(type="mmaction.Resize", scale=(64, 64), keep_ratio=False),
    dict(type=AlignSkeleton),
    dict(type=NormalizeSkeleton, mode="wrist", scale=10.0),
    _tokenize,
    dict(type=PackInputs, streams=_streams, meta_keys=_meta_keys),
]
train_dataloader.dataset.update(pipeline=train_pipeline, skeleton_dir="skeleton")
val_dataloader.dataset.update(pipeline=val_pipeline, skeleton_dir="skeleton")
test_dataloader.dataset.update(pipeline=val_pipeline, skeleton_dir="skeleton")
