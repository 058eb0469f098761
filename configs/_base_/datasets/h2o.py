"""H2O: 8 frames of 224 px and 32 frames of two hands, both streams.

    python tools/data/h2o/prepare.py --root data/h2o

Testing runs on the val split: the labels of the test split are hidden (answer.zip:
tools/data/h2o/README.md).
"""

from mmengine.config import read_base

from mmfusion.datasets import MultiModalDataset

with read_base():
    from .egocentric_224 import *
    from .loaders import *

_files = dict(
    type=MultiModalDataset,
    ann_file="mmfusion/annotation.json",
    data_root="data/h2o",
    made_by="python tools/data/h2o/prepare.py --root {data_root}",
)
train_dataloader.dataset.update(_files, pipeline=train_pipeline)
val_dataloader.dataset.update(_files, pipeline=val_pipeline)
test_dataloader = val_dataloader
