"""TinyEgo, the hands alone, at 30 frames a second."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import SampleRates

with read_base():
    from .tinyego_skeleton import *

_rates = dict(type=SampleRates, rates=dict(skeleton=30.0), num_frames=dict(skeleton=24))
_part = dict(mode="random", window=(0.6, 1.0), speed=(0.8, 1.25), lost=0.1)
train_pipeline[0] = dict(_rates, **_part)
val_pipeline[0] = dict(_rates, mode="all")
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
