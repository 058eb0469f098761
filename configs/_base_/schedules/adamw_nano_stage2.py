"""The schedule of ``adamw_nano`` for stage 2: 8 epochs, at half its rate."""

from mmengine.config import read_base

with read_base():
    from .adamw_nano import *

train_cfg.max_epochs = 8
optim_wrapper.optimizer.lr = 2e-3
param_scheduler[0].end = 1
param_scheduler[1].update(T_max=7, begin=1, end=8)
