r"""Kinetics-400 as VideoMamba trains on it: 8 frames of 224 px, seen twice, flipped.

    python tools/data/video_lists/prepare.py --layout kinetics --root data/kinetics400 \
        --drop-missing

data/kinetics400/{train,val}/<youtube_id>_000010_000020.mp4 and the official
data/kinetics400/annotations/{train,val}.csv. The published numbers are those of the
authors' own copy of the videos.
"""

from mmengine.config import read_base

from mmfusion.datasets import MultiModalDataset

with read_base():
    from .video_mamba import *

train_pipeline[0].rule = "rounded"
# before a part is erased
train_pipeline[2].transforms.insert(3, dict(type="mmaction.Flip", flip_ratio=0.5))
val_pipeline[0].rule = "rounded"
test_pipeline[0].update(rule="rounded", num_views=4)

_files = dict(
    type=MultiModalDataset,
    ann_file="mmfusion/annotation.json",
    data_root="data/kinetics400",
    num_classes=dict(action=400),
    made_by="python tools/data/video_lists/prepare.py --layout kinetics"
    " --root {data_root} --drop-missing",
)
train_dataloader.dataset.update(_files, pipeline=train_pipeline)
val_dataloader.dataset.update(_files, pipeline=val_pipeline)
test_dataloader.dataset = dict(val_dataloader.dataset, pipeline=test_pipeline)
