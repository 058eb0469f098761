"""STGCN of MMAction2, small, on natops, with SkeletonMamba's data and schedule.

    python tools/train.py configs/unimodal/stgcn_natops.py

Ours: top-1 89.1 (90.0, 91.1, 86.1 with --seed 0, 1, 2), n = 180, on an Intel Xeon.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.natops import *
    from .._base_.cpu_runtime import *
    from .._base_.models.stgcn import *
    from .._base_.schedules.adamw_hands import *

model.encoders.skeleton.backbone.graph_cfg.layout = dict(
    num_node=4, inward=[(0, 2), (1, 2), (3, 2)], center=2
)
model.heads.action.update(num_classes=6, in_dims=64)
