"""Clips of one's own, the skeletons alone: hands, a body, 2-D or 3-D."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import PackInputs

with read_base():
    from .custom import *

_train_times.update(mode="smooth", window=(0.7, 1.0))  # the encoder reads motion

train_pipeline = [
    _train_times,
    _load,
    _normalize,
    _jitter,
    dict(type=PackInputs, streams=("skeleton",)),
]
test_pipeline = [
    _test_times,
    _load,
    _normalize,
    dict(type=PackInputs, streams=("skeleton",)),
]
train_dataloader.batch_size = 16
train_dataloader.dataset.update(require=("skeleton",), pipeline=train_pipeline)
val_dataloader.dataset.update(require=("skeleton",), pipeline=test_pipeline)
test_dataloader.dataset.update(require=("skeleton",), pipeline=test_pipeline)
