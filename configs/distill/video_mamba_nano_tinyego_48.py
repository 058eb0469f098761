"""VideoMamba, RGB only, nano, on the 48 clips of TinyEgo that have labels here.

    python tools/train.py configs/distill/video_mamba_nano_tinyego_48.py

No paper has this data set. Ours: configs/distill/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_video import *
    from .._base_.cpu_runtime import *
    from .._base_.models.video_mamba_nano import *
    from .._base_.schedules.adamw_nano_48_clips import *

train_dataloader.dataset.indices = 48
default_hooks.checkpoint.interval = 37
