"""The schedule of ``adamw_custom`` for skeletons alone, in batches of 16."""

from mmengine.config import read_base

with read_base():
    from .adamw_custom import *

train_cfg.max_epochs = 60
auto_scale_lr.base_batch_size = 16
