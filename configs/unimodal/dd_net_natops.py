"""DD-Net, lite, on natops (real skeletons), with SkeletonMamba's data and schedule.

    python tools/train.py configs/unimodal/dd_net_natops.py

Ours: top-1 95.0 (94.4, 94.4, 96.1 with --seed 0, 1, 2), n = 180, on an Intel Xeon. With
the first frame's root as origin, which changes its inputs by rounding alone: 95.7
(96.1, 95.6, 95.6).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.natops import *
    from .._base_.cpu_runtime import *
    from .._base_.models.dd_net import *
    from .._base_.schedules.adamw_hands import *

model.encoders.skeleton.update(num_hands=2, num_joints=8)
model.heads.action.update(num_classes=6, in_dims=128)
