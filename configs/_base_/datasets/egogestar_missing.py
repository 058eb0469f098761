"""EgoGestAR whose clips may lack a stream; in training streams are dropped, too."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import DropStreams

with read_base():
    from .egogestar import *

# records without a file of a stream are used as they are
train_pipeline[1].missing_size = (64, 64)
train_pipeline[2].optional = True
train_pipeline.append(dict(type=DropStreams, rates=dict(video=0.3, skeleton=0.3)))
test_pipeline[1].missing_size = (64, 64)
test_pipeline[2].optional = True
train_dataloader.dataset.update(require=(), pipeline=train_pipeline)
val_dataloader.dataset.update(require=(), pipeline=test_pipeline)
test_dataloader.dataset.update(require=(), pipeline=test_pipeline)
