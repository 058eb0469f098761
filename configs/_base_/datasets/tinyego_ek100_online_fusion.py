"""TinyEgo's kitchen, untrimmed, with two hands 8 times a second beside the video."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    JitterSkeleton,
    LoadSkeleton,
    NormalizeSkeleton,
)

with read_base():
    from .tinyego_ek100_online import *

_clock = dict(type=SampleClock, rates=dict(video=4.0, skeleton=8.0))
_hands = [
    dict(type=LoadSkeleton),
    dict(type=NormalizeSkeleton, mode="wrist", scale=10.0),
]
_jitter = dict(type=JitterSkeleton, scale=0.1, rotation=0.1, noise=0.01)
_pack = dict(
    type=PackInputs, streams=("video", "skeleton"), meta_keys=("moments", "segments")
)
train_pipeline = [dict(_clock, shift=2.0), _frames, *_hands, _jitter, _label, _pack]
val_pipeline = [_clock, _frames, *_hands, _label, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
