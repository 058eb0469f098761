"""EgoGestAR's first fold, frames and hands; the others by tools/analysis/table.py.

    python tools/data/egogestar/prepare.py --root data/EgoGestAR --out data/egogestar

Joints are read smoothly in time, as the encoder of stage 1 learned them.
"""

from mmengine.config import read_base

with read_base():
    from .custom import *
    from .egogestar_files import *

train_pipeline[0].update(mode="smooth", window=(0.7, 1.0))
train_pipeline[2].interpolate = True
train_pipeline[6].origin = "first"  # as when its table was made
train_pipeline[7].rotation = (10.0, 15.0, 15.0)
test_pipeline[2].interpolate = True
test_pipeline[4].origin = "first"
train_dataloader.dataset.update(_files, pipeline=train_pipeline)
val_dataloader.dataset.pipeline = test_pipeline
test_dataloader.dataset.pipeline = test_pipeline
