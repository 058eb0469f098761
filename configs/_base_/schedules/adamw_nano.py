"""The schedule of ``adamw_50e`` cut to 12 epochs, for nano models from scratch."""

from mmengine.config import read_base

with read_base():
    from .adamw_50e import *

train_cfg.max_epochs = 12
optim_wrapper.optimizer.lr = 4e-3
param_scheduler[0].end = 2
param_scheduler[1].update(T_max=10, begin=2, end=12)
