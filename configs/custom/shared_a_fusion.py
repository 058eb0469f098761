"""MambaVL's shared A, nano, on clips of one's own: RGB and skeletons.

    python tools/train.py configs/custom/shared_a_fusion.py

No paper has this data set. Ours: configs/custom/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import SharedSSMFusion

with read_base():
    from .._base_.datasets.custom import *
    from .._base_.cpu_runtime import *
    from .._base_.models.custom_fusers import *
    from .._base_.schedules.adamw_custom import *

model.neck.update(type=SharedSSMFusion, with_norm=True)
