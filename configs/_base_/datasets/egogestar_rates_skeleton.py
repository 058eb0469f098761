"""EgoGestAR's first fold, hands alone, at 30 frames a second, in order.

A clip lasts 1 to 9.4 s. To train, a part of it is taken, which ends anywhere. Joints
are measured from where, and by the size in which, a hand is first seen.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import LoadSkeleton, NormalizeSkeleton, SampleRates

with read_base():
    from .egogestar_skeleton import *

_rates = dict(
    type=SampleRates, rates=dict(skeleton=30.0), num_frames=dict(skeleton=285)
)
_part = dict(mode="random", window=(0.7, 1.0), speed=(0.8, 1.25), lost=0.1)
_load = dict(type=LoadSkeleton)
_normalize = dict(type=NormalizeSkeleton, mode="first_size")
train_pipeline[:3] = [dict(_rates, **_part), _load, _normalize]
test_pipeline[:3] = [dict(_rates, mode="all"), _load, _normalize]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = test_pipeline
test_dataloader.dataset.pipeline = test_pipeline
