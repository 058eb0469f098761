"""TinyEgo's kitchen, untrimmed: 4 frames of 64 px a second, a label at each.

    python tools/data/tinyego/generate.py --layout ek100 --out data/tinyego_online
    python tools/data/ek100/prepare.py --root data/tinyego_online

Films of 480 clips to train on, the generator's default; the validation split is the
same with any number. Training sees windows of 8 s, which overlap by half and are moved;
testing whole films.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    DecodeVideo,
    LabelMoments,
    PackInputs,
    SampleClock,
)
from mmfusion.evaluation import OnlineDetectionMetric

with read_base():
    from .tinyego_ek100 import *

data_root = "data/tinyego_online"
_made_by = (
    "python tools/data/tinyego/generate.py --layout ek100 --out {data_root}"
    " && python tools/data/ek100/prepare.py --root {data_root}"
)
_films = dict(data_root=data_root, made_by=_made_by, questions=None)
_clock = dict(type=SampleClock, rates=dict(video=4.0))
_frames = dict(type=DecodeVideo, scale=(64, 64), keep=True)
_label = dict(type=LabelMoments, stream="video")
_pack = dict(type=PackInputs, streams=("video",), meta_keys=("moments", "segments"))
train_pipeline = [dict(_clock, shift=2.0), _frames, _label, _pack]
val_pipeline = [_clock, _frames, _label, _pack]

train_dataloader.dataset.update(
    _films, untrimmed=dict(seconds=8.0, stride=4.0), pipeline=train_pipeline
)
val_dataloader.batch_size = 1  # films differ in length
val_dataloader.dataset.update(
    _films, untrimmed=dict(seconds=None), pipeline=val_pipeline
)
val_evaluator = [dict(type=OnlineDetectionMetric, points="start")]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
