"""Clips of one's own, the video alone."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import PackInputs

with read_base():
    from .custom import *

train_pipeline = [
    _train_times,
    _decode,
    _crop,
    _resize,
    dict(type=PackInputs, streams=("video",)),
]
test_pipeline = [
    _test_times,
    _decode,
    dict(type=PackInputs, streams=("video",)),
]
train_dataloader.dataset.update(require=("video",), pipeline=train_pipeline)
val_dataloader.dataset.update(require=("video",), pipeline=test_pipeline)
test_dataloader.dataset.update(require=("video",), pipeline=test_pipeline)
