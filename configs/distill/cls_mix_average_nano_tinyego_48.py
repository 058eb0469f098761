"""CLS mix, average, nano, on the 48 clips of TinyEgo that have labels here: a teacher.

    python tools/train.py configs/distill/cls_mix_average_nano_tinyego_48.py

No paper has this data set. Ours: configs/distill/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .cls_mix_average_nano_tinyego_150 import *
    from .._base_.schedules.adamw_nano_stage2_48_clips import *

model.encoders.video.init_cfg.checkpoint = (
    "work_dirs/video_mamba_nano_tinyego_48/best.pth"
)
model.encoders.skeleton.init_cfg.checkpoint = (
    "work_dirs/skeleton_mamba_nano_tinyego_48/best.pth"
)
train_dataloader.dataset.indices = 48
default_hooks.checkpoint.interval = 12
