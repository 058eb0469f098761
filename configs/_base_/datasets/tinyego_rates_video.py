"""TinyEgo, the video alone, at 15 frames a second."""

from mmengine.config import read_base

with read_base():
    from .tinyego_rates import *

_times = dict(rates=dict(video=15.0), num_frames=dict(video=12))
_pack = dict(type=PackInputs, streams=("video",))
_part, _decode, _ = train_pipeline[:3]
train_pipeline = [dict(_part, **_times), _decode, _crop, _resize, _pack]
val_pipeline = [dict(val_pipeline[0], **_times), _decode, _resize, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
