"""DD-Net, lite, on mpsign (real skeletons), with SkeletonMamba's data and schedule.

    python tools/train.py configs/unimodal/dd_net_mpsign.py

Ours: top-1 95.4 (94.4, 95.8, 95.8 with --seed 0, 1, 2), n = 72, on an Intel Xeon.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.mpsign import *
    from .._base_.cpu_runtime import *
    from .._base_.models.dd_net import *
    from .._base_.schedules.adamw_hands import *

model.encoders.skeleton.update(num_hands=2, num_joints=42)
model.heads.action.update(num_classes=7, in_dims=128)
