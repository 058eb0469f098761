"""TinyEgo's kitchen: the questions alone; no video is read."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import PackInputs

with read_base():
    from .tinyego_ek100 import *

_pack = dict(type=PackInputs, streams=("text",))
train_pipeline = [_tokenize, _pack]
val_pipeline = train_pipeline
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
