"""EgoGestAR's first fold, hands alone."""

from mmengine.config import read_base

with read_base():
    from .custom_skeleton import *
    from .egogestar_files import *

train_pipeline[2].origin = "first"  # as when its table was made
test_pipeline[2].origin = "first"
train_dataloader.dataset.update(_files, pipeline=train_pipeline)
val_dataloader.dataset.pipeline = test_pipeline
test_dataloader.dataset.pipeline = test_pipeline
