"""TinyEgo in H2O's layout: 8 frames of 64 px and 16 frames of two hands.

python tools/data/tinyego/generate.py --layout h2o --out data/tinyego
python tools/data/h2o/prepare.py --root data/tinyego
"""

from mmengine.config import read_base

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.transforms import (
    AlignSkeleton,
    DecodeVideo,
    JitterSkeleton,
    LoadSkeleton,
    NormalizeSkeleton,
    PackInputs,
    SampleTimes,
)

with read_base():
    from .loaders import *
    from .tinyego_images import *

num_frames = dict(video=8, skeleton=16)

train_pipeline = [
    dict(type=SampleTimes, num_frames=num_frames, mode="random"),
    dict(type=DecodeVideo),
    dict(type=LoadSkeleton),
    _crop,
    _resize,
    dict(type=AlignSkeleton),
    dict(type=NormalizeSkeleton, mode="wrist", scale=10.0),
    dict(type=JitterSkeleton, scale=0.1, rotation=0.1, noise=0.01),
    dict(type=PackInputs, streams=("video", "skeleton")),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=num_frames, mode="uniform"),
    dict(type=DecodeVideo),
    dict(type=LoadSkeleton),
    _resize,
    dict(type=AlignSkeleton),
    dict(type=NormalizeSkeleton, mode="wrist", scale=10.0),
    dict(type=PackInputs, streams=("video", "skeleton")),
]

_files = dict(
    type=MultiModalDataset,
    ann_file="mmfusion/annotation.json",
    data_root="data/tinyego",
    made_by="python tools/data/tinyego/generate.py --layout h2o --out {data_root}"
    " && python tools/data/h2o/prepare.py --root {data_root}",
)
train_dataloader.num_workers = 1
train_dataloader.dataset.update(_files, pipeline=train_pipeline)
val_dataloader.update(batch_size=32, num_workers=1)
val_dataloader.dataset.update(_files, pipeline=val_pipeline)
test_dataloader = val_dataloader
