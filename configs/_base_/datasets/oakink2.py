"""OakInk2: 8 frames of 224 px and 32 frames of two hands, both streams.

    python tools/data/oakink2/prepare.py --root data/oakink2

The split is TaMF's, by sequence; a class is a primitive that is not transient.
"""

from mmengine.config import read_base

from mmfusion.datasets import MultiModalDataset

with read_base():
    from .egocentric_224 import *
    from .loaders import *

_files = dict(
    type=MultiModalDataset,
    ann_file="mmfusion/annotation.json",
    data_root="data/oakink2",
    made_by="python tools/data/oakink2/prepare.py --root {data_root}",
)
train_dataloader.dataset.update(_files, pipeline=train_pipeline)
val_dataloader.dataset.update(_files, pipeline=val_pipeline)
test_dataloader.dataset.update(_files, pipeline=val_pipeline, split="test")
test_dataloader.persistent_workers = False
