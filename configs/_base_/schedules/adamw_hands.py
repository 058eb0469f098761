"""``adamw_custom_skeleton`` for sets without a val split: the last epoch is tested."""

from mmengine.config import read_base

with read_base():
    from .adamw_custom_skeleton import *

train_cfg.val_interval = 60
