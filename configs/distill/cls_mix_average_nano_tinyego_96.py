"""CLS mix, average, nano, on the 96 clips of TinyEgo that have labels here: a teacher.

    python tools/train.py configs/distill/cls_mix_average_nano_tinyego_96.py

No paper has this data set. Ours: 93.8; configs/distill/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import AverageMix

with read_base():
    from .._base_.datasets.tinyego import *
    from .._base_.cpu_runtime import *
    from .._base_.models.cls_mix_nano import *
    from .._base_.schedules.adamw_nano_stage2_quarter import *

model.neck.mix = dict(type=AverageMix)
model.encoders.video.init_cfg.checkpoint = (
    "work_dirs/video_mamba_nano_tinyego_96/best.pth"
)
model.encoders.skeleton.init_cfg.checkpoint = (
    "work_dirs/skeleton_mamba_nano_tinyego_96/best.pth"
)
train_dataloader.dataset.indices = 96
train_cfg.update(max_epochs=24, val_interval=12)
param_scheduler[0].end = 3
param_scheduler[1].update(T_max=21, begin=3, end=24)
default_hooks.checkpoint.interval = 12
