"""Anticipation at every moment: what happens 1 s later in TinyEgo's kitchen.

    python tools/train.py configs/streams/online_anticipation_video_nano_tinyego.py

No paper has this data set. Ours: configs/streams/README.md.
"""

from mmengine.config import read_base

from mmfusion.evaluation import StreamAnticipationMetric

with read_base():
    from .online_video_nano_tinyego import *

train_pipeline[2].tau_a = 1.0
val_pipeline[2].tau_a = 1.0
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
val_evaluator.append(dict(type=StreamAnticipationMetric))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
