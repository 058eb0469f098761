"""Parts of every loader; a dataset adds its class, its folder and its pipeline.

Testing runs on what validation runs on, until a dataset says otherwise.
"""

from mmfusion.datasets import SeededSampler, fusion_collate
from mmfusion.evaluation import AccuracyMetric

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type=SeededSampler, shuffle=True),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(split="train", on_error=dict(policy="replace", max_bad=0.01)),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type=SeededSampler, shuffle=False),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(split="val", test_mode=True),
)
val_evaluator = dict(type=AccuracyMetric)
test_dataloader = val_dataloader
test_evaluator = val_evaluator
