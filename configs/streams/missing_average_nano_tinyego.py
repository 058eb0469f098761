"""CLS mix, average, nano, on TinyEgo: streams are dropped, and learned tokens stand in.

    python tools/train.py configs/streams/missing_average_nano_tinyego.py

No paper has this data set. Ours: configs/streams/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import AverageMix, StandInTokens

with read_base():
    from .._base_.datasets.tinyego_missing import *
    from .._base_.cpu_runtime import *
    from .._base_.models.cls_mix_nano import *
    from .._base_.schedules.adamw_nano_stage2 import *

model.neck.mix = dict(type=AverageMix)
model.stand_ins = dict(type=StandInTokens)
# both streams together are learned first: of equal epochs the last has practised most
# with one of them
default_hooks.checkpoint.rule = "greater_or_equal"
