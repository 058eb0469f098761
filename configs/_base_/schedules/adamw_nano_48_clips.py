"""The 444 steps of ``adamw_nano`` where 48 clips are trained on."""

from mmengine.config import read_base

with read_base():
    from .adamw_nano import *

train_cfg.update(max_epochs=148, val_interval=37)
param_scheduler[0].end = 24
param_scheduler[1].update(T_max=124, begin=24, end=148)
