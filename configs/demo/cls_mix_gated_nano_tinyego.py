"""CLS mix, gated, nano, on TinyEgo: a fifth mix, ours, not of paper A.

    python tools/train.py configs/demo/cls_mix_gated_nano_tinyego.py

No paper has this mix. Ours beside the four: configs/cls_mix/STUDY.md.
"""

from mmengine.config import read_base

from mmfusion.models import GatedMix

with read_base():
    from .._base_.datasets.tinyego import *
    from .._base_.cpu_runtime import *
    from .._base_.models.cls_mix_nano import *
    from .._base_.schedules.adamw_nano_stage2 import *

model.neck.mix = dict(type=GatedMix)
