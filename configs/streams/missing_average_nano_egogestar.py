"""CLS mix, average, nano, on EgoGestAR: streams are dropped, learned tokens stand in.

    python tools/train.py configs/streams/missing_average_nano_egogestar.py

No paper has this protocol. Ours, five folds by scene: configs/streams/README.md.
"""

from mmengine.config import read_base

from mmfusion.engine import SubsetScoresHook
from mmfusion.models import AverageMix, StandInTokens

with read_base():
    from .._base_.custom_runtime import *
    from .._base_.datasets.egogestar_missing import *
    from .._base_.models.egogestar_cls_mix import *
    from .._base_.schedules.adamw_custom_stage2 import *

model.neck.mix = dict(type=AverageMix)
model.stand_ins = dict(type=StandInTokens)
train_cfg.max_epochs = 12  # six with both streams
# with both streams nearly all is right: each stream alone tells epochs apart
custom_hooks.append(dict(type=SubsetScoresHook, subsets=[["video"], ["skeleton"]]))
default_hooks.checkpoint.save_best = "action/top1_of_subsets"
