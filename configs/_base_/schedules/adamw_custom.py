"""The schedule of ``adamw_50e`` for small sets: ``train_cfg.max_epochs`` says it all.

No early stopping: on a handful of clips the accuracy of validation goes up and down by
chance, and the best checkpoint is kept in any case.
"""

from mmengine.config import read_base

with read_base():
    from .adamw_50e import *

train_cfg.max_epochs = 40
optim_wrapper.optimizer.lr = 2e-3
param_scheduler[0].end = None  # 2 epochs, fewer in a training of 1 or 2
param_scheduler[1].update(T_max=None, begin=None, end=None)
custom_hooks = []
auto_scale_lr.base_batch_size = 8
