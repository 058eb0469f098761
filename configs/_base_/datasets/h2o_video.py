"""H2O, the video stream alone."""

from mmengine.config import read_base

with read_base():
    from .h2o import *
    from .egocentric_224_video import *

# no skeleton caches are needed
train_dataloader.dataset.update(pipeline=train_pipeline, cache_dir=None)
val_dataloader.dataset.update(pipeline=val_pipeline, cache_dir=None)
test_dataloader = val_dataloader
