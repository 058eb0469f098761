"""Transformer fusion (paper B's Table 3), nano, on clips of one's own.

    python tools/train.py configs/custom/transformer_fusion.py

No paper has this data set. Ours: configs/custom/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import TransformerFusion

with read_base():
    from .._base_.datasets.custom import *
    from .._base_.cpu_runtime import *
    from .._base_.models.custom_fusers import *
    from .._base_.schedules.adamw_custom import *

model.neck.update(type=TransformerFusion, depth=2, num_heads=4, num_positions=8)
