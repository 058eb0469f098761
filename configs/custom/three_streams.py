"""MambaVL, nano, on clips of one's own: RGB, skeletons and a question share A.

    python tools/train.py configs/custom/three_streams.py

No paper has this data set. Ours: configs/custom/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.custom_three_streams import *
    from .._base_.custom_runtime import *
    from .._base_.models.custom_three_streams import *
    from .._base_.schedules.adamw_custom import *
