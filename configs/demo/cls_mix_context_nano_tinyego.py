"""CLS mix, context, nano, on TinyEgo.

    python tools/train.py configs/demo/cls_mix_context_nano_tinyego.py

No paper has this data set. Ours: README.md, "Results".
"""

from mmengine.config import read_base

from mmfusion.models import ContextMix

with read_base():
    from .._base_.datasets.tinyego import *
    from .._base_.cpu_runtime import *
    from .._base_.models.cls_mix_nano import *
    from .._base_.schedules.adamw_nano_stage2 import *

model.neck.mix = dict(type=ContextMix)
