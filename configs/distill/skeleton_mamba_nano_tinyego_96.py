"""SkeletonMamba, hands only, nano, on the 96 clips of TinyEgo that have labels here.

    python tools/train.py configs/distill/skeleton_mamba_nano_tinyego_96.py

No paper has this data set. Ours: configs/distill/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_skeleton import *
    from .._base_.cpu_runtime import *
    from .._base_.models.skeleton_mamba_nano import *
    from .._base_.schedules.adamw_nano_quarter import *

train_dataloader.dataset.indices = 96
train_cfg.update(max_epochs=36, val_interval=18)
param_scheduler[0].end = 6
param_scheduler[1].update(T_max=30, begin=6, end=36)
default_hooks.checkpoint.interval = 18
