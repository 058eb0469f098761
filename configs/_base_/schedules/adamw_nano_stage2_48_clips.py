"""``adamw_nano_stage2`` where 48 clips are trained on: 144 steps."""

from mmengine.config import read_base

with read_base():
    from .adamw_nano_stage2 import *

train_cfg.update(max_epochs=48, val_interval=12)
param_scheduler[0].end = 6
param_scheduler[1].update(T_max=42, begin=6, end=48)
