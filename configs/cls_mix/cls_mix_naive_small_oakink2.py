"""CLS mix, naive, Small, on OakInk2.

    python tools/train.py configs/cls_mix/cls_mix_naive_small_oakink2.py

Paper A, table 2 (its text names H2O, its caption OakInk2): top-1 56.19.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.models import NaiveMix

with read_base():
    from .._base_.datasets.oakink2 import *
    from .._base_.default_runtime import *
    from .._base_.models.cls_mix_small import *
    from .._base_.schedules.adamw_50e import *

model.neck.mix = dict(type=NaiveMix)
model.encoders.video.init_cfg.checkpoint = (
    "work_dirs/video_mamba_small_oakink2/best.pth"
)
model.encoders.skeleton.init_cfg.checkpoint = (
    "work_dirs/skeleton_mamba_small_oakink2/best.pth"
)
model.heads.action.num_classes = 36
