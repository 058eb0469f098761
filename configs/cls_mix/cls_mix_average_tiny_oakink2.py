"""CLS mix, average, Tiny, on OakInk2.

    python tools/train.py configs/cls_mix/cls_mix_average_tiny_oakink2.py

Paper A, table 2 (its text names H2O, its caption OakInk2): top-1 61.90.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.models import AverageMix

with read_base():
    from .._base_.datasets.oakink2 import *
    from .._base_.default_runtime import *
    from .._base_.models.cls_mix_tiny import *
    from .._base_.schedules.adamw_50e import *

model.neck.mix = dict(type=AverageMix)
model.encoders.video.init_cfg.checkpoint = "work_dirs/video_mamba_tiny_oakink2/best.pth"
model.encoders.skeleton.init_cfg.checkpoint = (
    "work_dirs/skeleton_mamba_tiny_oakink2/best.pth"
)
model.heads.action.num_classes = 36
