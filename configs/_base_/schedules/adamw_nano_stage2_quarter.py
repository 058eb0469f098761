"""``adamw_nano_stage2`` where a quarter of the clips is trained on: half its steps."""

from mmengine.config import read_base

with read_base():
    from .adamw_nano_stage2 import *

train_cfg.update(max_epochs=16, val_interval=4)
param_scheduler[0].end = 2
param_scheduler[1].update(T_max=14, begin=2, end=16)
