"""AdamW, 6 epochs, for MambaVL nano from scratch: `adamw_nano` cut to half of it."""

from mmengine.config import read_base

with read_base():
    from .adamw_nano import *

train_cfg.max_epochs = 6
param_scheduler[0].end = 1
param_scheduler[1].update(T_max=5, begin=1, end=6)
