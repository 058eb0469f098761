"""AdamW, 24 epochs, for nano models whose video encoder has seen actions before."""

from mmengine.config import read_base

with read_base():
    from .mambavl_nano import *

train_cfg.update(max_epochs=24, val_interval=4)
optim_wrapper.optimizer.lr = 2e-3
param_scheduler[1].update(T_max=23, begin=1, end=24)
custom_hooks[0].patience = 24
