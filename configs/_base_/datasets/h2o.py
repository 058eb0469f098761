"""H2O: 8 frames of 224 px and 32 frames of two hands, both streams.

    python tools/data/h2o/prepare.py --root data/h2o

Testing runs on the val split: the labels of the test split are hidden (answer.zip:
tools/data/h2o/README.md).
"""

from mmengine.config import read_base

from mmfusion.datasets import H2ODataset, SeededSampler, fusion_collate
from mmfusion.evaluation import AccuracyMetric

with read_base():
    from .egocentric_224 import *

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type=SeededSampler, shuffle=True),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(
        type=H2ODataset,
        data_root="data/h2o",
        split="train",
        pipeline=train_pipeline,
        on_error=dict(policy="replace", max_bad=0.01),
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type=SeededSampler, shuffle=False),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(
        type=H2ODataset,
        data_root="data/h2o",
        split="val",
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type=AccuracyMetric)
test_dataloader = val_dataloader
test_evaluator = val_evaluator
