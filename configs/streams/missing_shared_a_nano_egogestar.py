"""Shared A (MambaVL's fusion) on EgoGestAR: streams are dropped, tokens stand in.

    python tools/train.py configs/streams/missing_shared_a_nano_egogestar.py

No paper has this protocol. Ours, five folds by scene: configs/streams/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import SharedSSMFusion, StandInTokens

with read_base():
    from .._base_.custom_runtime import *
    from .._base_.datasets.egogestar_missing import *
    from .._base_.models.egogestar_cls_mix import *
    from .._base_.schedules.adamw_custom_stage2 import *

model.neck = dict(
    type=SharedSSMFusion,
    embed_dims=None,
    streams=dict(video=dict(), skeleton=dict()),
    with_norm=True,  # as in configs/egogestar
)
model.stand_ins = dict(type=StandInTokens)
train_cfg.max_epochs = 12  # six with both streams
