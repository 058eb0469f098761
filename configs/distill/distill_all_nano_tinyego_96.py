"""RGB student by all three losses, on TinyEgo with 96 of 600 clips labelled.

    python tools/train.py configs/distill/distill_all_nano_tinyego_96.py

No paper has this data set. Ours: configs/distill/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import (
    FeatureDistillation,
    LogitsDistillation,
    RelationDistillation,
)

with read_base():
    from .distill_logits_nano_tinyego_96 import *

model.auxiliary.distill.losses = dict(
    logits=dict(type=LogitsDistillation, temperature=2.0),
    features=dict(type=FeatureDistillation),
    relations=dict(type=RelationDistillation),
)
