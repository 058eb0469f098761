"""CLS mix, weighted, nano, on clips of one's own: RGB and skeletons.

    python tools/train.py configs/custom/cls_mix_weighted.py

No paper has this data set. Ours: configs/custom/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import WeightedMix

with read_base():
    from .._base_.datasets.custom import *
    from .._base_.custom_runtime import *
    from .._base_.models.custom_cls_mix import *
    from .._base_.schedules.adamw_custom import *

model.neck.mix = dict(type=WeightedMix)
