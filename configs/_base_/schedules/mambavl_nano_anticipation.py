"""AdamW, 10 epochs, for nano models whose video encoder has seen actions before."""

from mmengine.config import read_base

with read_base():
    from .mambavl_nano import *

train_cfg.update(max_epochs=10, val_interval=2)
optim_wrapper.optimizer.lr = 1e-3
param_scheduler[1].update(T_max=9, begin=1, end=10)
