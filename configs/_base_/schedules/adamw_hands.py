"""The schedule of ``adamw_50e`` for small sets of skeletons without a val split."""

from mmengine.config import read_base

with read_base():
    from .adamw_50e import *

train_cfg.update(max_epochs=100, val_interval=100)
optim_wrapper.optimizer.lr = 2e-3
param_scheduler[0].end = 10
param_scheduler[1].update(T_max=90, begin=10, end=100)
custom_hooks = []  # no val split to stop early on
