"""OakInk2: 8 frames of 224 px and 32 frames of two hands, both streams.

    python tools/data/oakink2/prepare.py --root data/oakink2

The split is TaMF's, by sequence; a class is a primitive that is not transient.
"""

from mmengine.config import read_base

from mmfusion.datasets import OakInk2Dataset

with read_base():
    from .egocentric_224 import *
    from .loaders import *

_files = dict(type=OakInk2Dataset, data_root="data/oakink2")
train_dataloader.dataset.update(_files, pipeline=train_pipeline)
val_dataloader.dataset.update(_files, pipeline=val_pipeline)
test_dataloader.dataset.update(_files, pipeline=val_pipeline, split="test")
test_dataloader.persistent_workers = False
