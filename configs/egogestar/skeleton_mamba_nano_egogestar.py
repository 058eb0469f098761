"""SkeletonMamba, hands only, nano, on EgoGestAR.

    python tools/train.py configs/egogestar/skeleton_mamba_nano_egogestar.py

No paper has this protocol. Ours, five folds by scene: configs/egogestar/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.custom_runtime import *
    from .._base_.datasets.egogestar_skeleton import *
    from .._base_.models.custom_skeleton import *
    from .._base_.schedules.adamw_custom_skeleton import *

model.encoders.skeleton.votes = ["scan"]  # as when its table was made
