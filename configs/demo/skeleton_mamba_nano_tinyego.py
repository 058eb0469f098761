"""SkeletonMamba, hands only, nano, on TinyEgo.

    python tools/train.py configs/demo/skeleton_mamba_nano_tinyego.py

No paper has this data set. Ours: README.md, "Results".
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_skeleton import *
    from .._base_.cpu_runtime import *
    from .._base_.models.skeleton_mamba_nano import *
    from .._base_.schedules.adamw_nano import *
