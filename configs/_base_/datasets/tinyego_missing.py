"""TinyEgo whose clips may lack a stream; in training whole streams are dropped, too.

A clip without hands is as common as the two of one stream together: hands get lost.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import DropStreams

with read_base():
    from .tinyego import *

# records without a file of a stream are used as they are
train_pipeline[1].missing_size = (64, 64)
train_pipeline[2].optional = True
train_pipeline.append(dict(type=DropStreams, rates=dict(video=0.2, skeleton=0.35)))
val_pipeline[1].missing_size = (64, 64)
val_pipeline[2].optional = True
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
