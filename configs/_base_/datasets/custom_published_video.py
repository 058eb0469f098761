"""Clips of one's own, the video alone, with the pixels of a published model.

What is None is told by the processor file of ``model.encoders.video.pretrained``, see
``mmfusion/models/backbones/README.md``. Frames keep their ratio and tests see the
middle, as the published model does.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import DecodeVideo, PackInputs, ResizeFrames

with read_base():
    from .custom import *

_decode = dict(type=DecodeVideo)
_crop.update(area_range=(0.5, 1.0), aspect_ratio_range=(3 / 4, 4 / 3))
_pack = dict(type=PackInputs, streams=("video",))

train_pipeline = [_train_times, _decode, _crop, _resize, _pack]
test_pipeline = [
    _test_times,
    _decode,
    dict(type=ResizeFrames, size=None, resample=None),
    dict(type="mmaction.CenterCrop", crop_size=None),
    _pack,
]
train_dataloader.dataset.update(require=("video",), pipeline=train_pipeline)
val_dataloader.dataset.update(require=("video",), pipeline=test_pipeline)
test_dataloader.dataset.update(require=("video",), pipeline=test_pipeline)
