"""Something-Something V2 as VideoMamba trains on it: 8 frames of 224 px, seen twice.

data/ssv2/20bn-something-something-v2/78687.webm and data/ssv2/labels/{train,validation,
labels}.json, as downloaded. VideoMamba's `train.csv`: configs/recognition/README.md. No
flip: classes tell left from right.
"""

from mmengine.config import read_base

from mmfusion.datasets import VideoListDataset

with read_base():
    from .video_mamba import *

_files = dict(
    type=VideoListDataset,
    layout="ssv2",
    class_file="labels/labels.json",
    prefix="20bn-something-something-v2",
    data_root="data/ssv2",
    num_classes=dict(action=174),
)
train_dataloader.dataset.update(
    _files, list_file="labels/train.json", pipeline=train_pipeline
)
val_dataloader.dataset.update(
    _files, list_file="labels/validation.json", pipeline=val_pipeline
)
test_dataloader.dataset = dict(val_dataloader.dataset, pipeline=test_pipeline)
