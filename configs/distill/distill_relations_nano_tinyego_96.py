"""RGB student of RGB + hands by relations, on TinyEgo with 96 of 600 labelled.

    python tools/train.py configs/distill/distill_relations_nano_tinyego_96.py

No paper has this data set. Ours: configs/distill/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import RelationDistillation

with read_base():
    from .distill_logits_nano_tinyego_96 import *

model.auxiliary.distill.losses = dict(
    relations=dict(type=RelationDistillation),
)
