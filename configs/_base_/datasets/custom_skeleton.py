"""Clips of one's own, the skeletons alone: hands, a body, 2-D or 3-D."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import LoadSkeleton, PackInputs

with read_base():
    from .custom import *

train_pipeline = [
    _train_times,
    dict(type=LoadSkeleton),
    _normalize,
    _jitter,
    dict(type=PackInputs, streams=("skeleton",)),
]
test_pipeline = [
    _test_times,
    dict(type=LoadSkeleton),
    _normalize,
    dict(type=PackInputs, streams=("skeleton",)),
]
train_dataloader.dataset.update(require=("skeleton",), pipeline=train_pipeline)
val_dataloader.dataset.update(require=("skeleton",), pipeline=test_pipeline)
test_dataloader.dataset.update(require=("skeleton",), pipeline=test_pipeline)
