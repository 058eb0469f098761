"""SkeletonMamba, nano, on natops (real skeletons).

    python tools/train.py configs/unimodal/skeleton_mamba_nano_natops.py

Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.models import CrossEntropyLoss

with read_base():
    from .._base_.datasets.natops import *
    from .._base_.cpu_runtime import *
    from .._base_.models.skeleton_mamba_nano import *
    from .._base_.schedules.adamw_hands import *

model.encoders.skeleton.update(num_joints=8, num_frames=32, drop_path_rate=0.1)
model.heads.action.update(
    num_classes=6, drop_rate=0.1, loss=dict(type=CrossEntropyLoss, label_smoothing=0.1)
)
