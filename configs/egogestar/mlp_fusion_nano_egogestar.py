"""MLP fusion (paper B, Table 3), nano, RGB and hands, on EgoGestAR.

    python tools/train.py configs/egogestar/mlp_fusion_nano_egogestar.py

No paper has this protocol. Ours, five folds by scene: configs/egogestar/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.custom_runtime import *
    from .._base_.datasets.egogestar import *
    from .._base_.models.egogestar_cls_mix import *
    from .._base_.models.two_stream_fusers import *
    from .._base_.schedules.adamw_custom_stage2 import *

model.neck = _mlp_fusion
