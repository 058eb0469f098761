"""Transformer fusion (paper B, Table 3), nano, RGB and skeletons of one's own.

    python tools/train.py configs/custom/transformer_fusion.py

No paper has this data set. Ours: configs/custom/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.custom_runtime import *
    from .._base_.datasets.custom import *
    from .._base_.models.custom_cls_mix import *
    from .._base_.models.two_stream_fusers import *
    from .._base_.schedules.adamw_custom import *

model.neck = _transformer_fusion
