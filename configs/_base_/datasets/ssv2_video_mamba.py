"""Something-Something V2 as VideoMamba trains on it: 8 frames of 224 px, seen twice.

    python tools/data/video_lists/prepare.py --layout ssv2 --root data/ssv2

data/ssv2/20bn-something-something-v2/78687.webm and data/ssv2/labels/{train,validation,
labels}.json, as downloaded. VideoMamba's `train.csv`: configs/recognition/README.md. No
flip: classes tell left from right.
"""

from mmengine.config import read_base

from mmfusion.datasets import MultiModalDataset

with read_base():
    from .video_mamba import *

_files = dict(
    type=MultiModalDataset,
    ann_file="mmfusion/annotation.json",
    data_root="data/ssv2",
    num_classes=dict(action=174),
    made_by="python tools/data/video_lists/prepare.py --layout ssv2 --root {data_root}",
)
train_dataloader.dataset.update(_files, pipeline=train_pipeline)
val_dataloader.dataset.update(_files, pipeline=val_pipeline)
test_dataloader.dataset = dict(val_dataloader.dataset, pipeline=test_pipeline)
