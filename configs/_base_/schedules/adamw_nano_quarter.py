"""The steps of ``adamw_nano`` where a quarter of the clips is trained on."""

from mmengine.config import read_base

with read_base():
    from .adamw_nano import *

train_cfg.update(max_epochs=48, val_interval=4)
param_scheduler[0].end = 8
param_scheduler[1].update(T_max=40, begin=8, end=48)
