"""A Transformer over RULSTM's rgb, flow and objects, EPIC-KITCHENS-100, 1 s ahead.

    python tools/train.py configs/features/rulstm_transformer_ek100_anticipation.py

Not in a paper; a base for AFFT's and AVT's form of reading features.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ek100_anticipation_rulstm import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.rulstm_transformer import *
    from .._base_.schedules.mambavl_anticipation_50e import *

optim_wrapper.paramwise_cfg.custom_keys.pop("encoders.video.")
optim_wrapper.paramwise_cfg.custom_keys["encoders."] = dict(lr_mult=10.0)  # new layers
