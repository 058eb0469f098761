"""LaViLa's fine-tuning: SGD, 1 epoch of warm-up, a cosine; 128 clips a step.

The recipe says 3e-3 for the heads and a tenth for the rest; the released code gives
every group the tenth, and so does this file. As it is meant, in a config:
``optim_wrapper.paramwise_cfg.custom_keys = {"heads.": dict(lr_mult=10.0)}``.
"""

from mmengine.config import read_base

with read_base():
    from .avion_100e import *

optim_wrapper.optimizer.lr = 3e-4
optim_wrapper.paramwise_cfg.custom_keys = {}
param_scheduler[0].end = 1
param_scheduler[1].update(begin=1, T_max=99)
auto_scale_lr.base_batch_size = 128
