"""VideoMamba, RGB only, nano, on the 96 clips of TinyEgo that have labels here.

    python tools/train.py configs/distill/video_mamba_nano_tinyego_96.py

No paper has this data set. Ours: 60.8; configs/distill/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_video import *
    from .._base_.cpu_runtime import *
    from .._base_.models.video_mamba_nano import *
    from .._base_.schedules.adamw_nano_quarter import *

train_dataloader.dataset.indices = 96
train_cfg.update(max_epochs=74, val_interval=37)  # the 444 steps of a student
param_scheduler[0].end = 12
param_scheduler[1].update(T_max=62, begin=12, end=74)
default_hooks.checkpoint.interval = 37
