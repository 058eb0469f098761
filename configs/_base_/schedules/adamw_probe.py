"""``adamw_custom`` for a new neck behind a published encoder."""

from mmengine.config import read_base

with read_base():
    from .adamw_custom import *

train_cfg.max_epochs = 20
optim_wrapper.optimizer.lr = 5e-4
optim_wrapper.paramwise_cfg.custom_keys.query_tokens = dict(decay_mult=0.0)
