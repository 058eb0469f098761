"""SkeletonMamba, skeletons only (hands or a body), nano, on clips of one's own.

    python tools/train.py configs/custom/skeleton_mamba.py

No paper has this data set. Ours: configs/custom/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.custom_skeleton import *
    from .._base_.custom_runtime import *
    from .._base_.models.custom_skeleton import *
    from .._base_.schedules.adamw_custom_skeleton import *
