"""Clips of one's own: the frames and the skeletons that an annotation lists.

    python tools/data/custom/prepare.py FOLDER --out data/custom

What is None follows from the model or from the annotation of ``train_dataloader``
(``mmfusion/engine/launch/completion.py``). Nothing is mirrored: own classes may tell
left from right. Pictures are squashed, so that a hand at the edge stays inside.
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

_train_times = dict(type=SampleTimes, num_frames=None, mode="random", window=(0.8, 1.0))
_test_times = dict(type=SampleTimes, num_frames=None, mode="uniform")
# squashed, and kept so beside the data: decoding would take longer than learning
_decode = dict(type=DecodeVideo, scale=None, keep=True)
_resize = dict(type="mmaction.Resize", scale=None, keep_ratio=False)
_crop = dict(
    type="mmaction.RandomResizedCrop",
    area_range=(0.7, 1.0),
    aspect_ratio_range=(0.85, 1.18),  # of a picture that is square by then
)
# from the middle of the clip, in units of the skeleton's own size: whatever it is
_normalize = dict(type=NormalizeSkeleton, mode="size", origin="middle")
_jitter = dict(
    type=JitterSkeleton,
    scale=0.15,
    rotation=(10.0, 15.0, 15.0),
    noise=0.02,
    drop_prob=0.05,  # a hand is lost for some frames, as detectors lose it
    drop_run=4.0,
)
# between frames, as the encoder reads motion
_load = dict(type=LoadSkeleton, interpolate=True)

train_pipeline = [
    _train_times,
    _decode,
    _load,
    _crop,
    _resize,
    dict(type=AlignSkeleton),
    _normalize,
    _jitter,
    dict(type=PackInputs, streams=("video", "skeleton")),
]
test_pipeline = [
    _test_times,
    _decode,
    _load,
    dict(type=AlignSkeleton),
    _normalize,
    dict(type=PackInputs, streams=("video", "skeleton")),
]

train_dataloader.update(batch_size=8, num_workers=1, drop_last=False)
train_dataloader.dataset.update(
    type=MultiModalDataset,
    ann_file="annotation.json",
    data_root="data/custom",
    made_by="python tools/data/custom/prepare.py FOLDER --out {data_root}",
    require=("video", "skeleton"),
    pipeline=train_pipeline,
)
val_dataloader.update(num_workers=1)
val_dataloader.dataset.update(
    type=MultiModalDataset,
    ann_file=None,
    data_root=None,
    link_roots=None,
    require=("video", "skeleton"),
    pipeline=test_pipeline,
)
test_dataloader = dict(
    val_dataloader, dataset=dict(val_dataloader.dataset, split="test")
)
