"""H2O, the video stream alone."""

from mmengine.config import read_base

with read_base():
    from .h2o import *
    from .egocentric_224_video import *

train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
