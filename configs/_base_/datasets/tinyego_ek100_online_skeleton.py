"""TinyEgo's kitchen, untrimmed: two hands 8 times a second, a label at each."""

from mmengine.config import read_base

with read_base():
    from .tinyego_ek100_online_fusion import *

_clock = dict(type=SampleClock, rates=dict(skeleton=8.0))
_label = dict(type=LabelMoments, stream="skeleton")
_pack = dict(type=PackInputs, streams=("skeleton",), meta_keys=("moments", "segments"))
train_pipeline = [dict(_clock, shift=2.0), *_hands, _jitter, _label, _pack]
val_pipeline = [_clock, *_hands, _label, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
