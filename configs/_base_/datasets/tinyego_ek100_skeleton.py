"""TinyEgo's kitchen with 16 frames of two hands beside video and questions."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    AlignSkeleton,
    JitterSkeleton,
    LoadSkeleton,
    NormalizeSkeleton,
    PackInputs,
)

with read_base():
    from .tinyego_ek100 import *

_train_frames[0].num_frames.skeleton = 16
_val_frames[0].num_frames.skeleton = 16
_hands = [
    dict(type=LoadSkeleton),
    dict(type=AlignSkeleton),
    dict(type=NormalizeSkeleton, mode="wrist", scale=10.0),
]
_jitter = dict(type=JitterSkeleton, scale=0.1, rotation=0.1, noise=0.01)
_pack = dict(type=PackInputs, streams=("video", "skeleton", "text"))
train_pipeline = [*_train_frames, *_hands, _jitter, _tokenize, _pack]
val_pipeline = [*_val_frames, *_hands, _tokenize, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
