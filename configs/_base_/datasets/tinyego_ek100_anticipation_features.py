"""TinyEgo's kitchen, anticipation: 3 features of the 0.6 s that end 1 s before.

Features are in RULSTM's layout, each of what the pixel model sees of 1.6 s; how many a
second is the writer's choice, and a time gets the last one known by then.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    LoadFeatures,
    PackInputs,
    SampleObservedFrames,
)

with read_base():
    from .tinyego_ek100_anticipation_video import *

_window = dict(
    type=SampleObservedFrames,
    num_frames=dict(rgb=3),
    tau_a=1.0,
    tau_o=0.6,
    mode="ends",
)
_load = dict(type=LoadFeatures, stream="rgb", path="features/rgb", width=64)
_pack = dict(type=PackInputs, streams=("rgb",))
train_pipeline = [dict(_window, drop="empty"), _load, _pack]
val_pipeline = [_window, _load, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
