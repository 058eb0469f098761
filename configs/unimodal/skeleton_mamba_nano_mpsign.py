"""SkeletonMamba, nano, on mpsign (real skeletons).

    python tools/train.py configs/unimodal/skeleton_mamba_nano_mpsign.py

Ours: top-1 93.1 (93.1, 93.1, 93.1 with --seed 0, 1, 2), n = 72; linear: 91.7. With
paper A's encoder on places in the image, before: 94.4, 94.4, 94.4.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.mpsign import *
    from .._base_.cpu_runtime import *
    from .._base_.models.custom_skeleton import *
    from .._base_.schedules.adamw_hands import *

model.encoders.skeleton.update(num_hands=2, num_joints=42)
model.heads.action.update(num_classes=7, in_dims=64)
