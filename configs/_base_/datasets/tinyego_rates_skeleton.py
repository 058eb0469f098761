"""TinyEgo, the hands alone, at 30 frames a second."""

from mmengine.config import read_base

with read_base():
    from .tinyego_rates import *

_times = dict(rates=dict(skeleton=30.0), num_frames=dict(skeleton=24))
_pack = dict(type=PackInputs, streams=("skeleton",))
_part, _, _load, *_, _normalize, _jitter, _ = train_pipeline
train_pipeline = [dict(_part, **_times), _load, _normalize, _jitter, _pack]
val_pipeline = [dict(val_pipeline[0], **_times), _load, _normalize, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
