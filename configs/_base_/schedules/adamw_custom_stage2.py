"""The schedule of ``adamw_custom`` for a fusion that starts from trained streams."""

from mmengine.config import read_base

with read_base():
    from .adamw_custom import *

train_cfg.max_epochs = 12
optim_wrapper.optimizer.lr = 1e-3
