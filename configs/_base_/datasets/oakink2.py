"""OakInk2: 8 frames of 224 px and 32 frames of two hands, both streams.

    python tools/data/oakink2/prepare.py --root data/oakink2

The split is TaMF's, by sequence; a class is a primitive that is not transient.
"""

from mmengine.config import read_base

from mmfusion.datasets import OakInk2Dataset, SeededSampler, fusion_collate
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
        type=OakInk2Dataset,
        data_root="data/oakink2",
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
        type=OakInk2Dataset,
        data_root="data/oakink2",
        split="val",
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type=AccuracyMetric)
test_dataloader = dict(
    batch_size=8,
    num_workers=4,
    sampler=dict(type=SeededSampler, shuffle=False),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(
        type=OakInk2Dataset,
        data_root="data/oakink2",
        split="test",
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
test_evaluator = val_evaluator
