"""EgoGestAR's first fold, RGB alone, at 8 frames a second, in order.

A clip lasts 1 to 9.4 s. To train, a part of it is taken, which ends anywhere, at half
to twice its speed: at a fixed rate a model sees how fast a gesture is, which says
little of what it is.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import SampleRates

with read_base():
    from .egogestar_video import *

_rates = dict(type=SampleRates, rates=dict(video=8.0), num_frames=dict(video=76))
_part = dict(mode="random", window=(0.7, 1.0), speed=(0.5, 2.0), lost=0.1)
train_pipeline[0] = dict(_rates, **_part)
test_pipeline[0] = dict(_rates, mode="all")
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = test_pipeline
test_dataloader.dataset.pipeline = test_pipeline
