"""Motionformer on EPIC-KITCHENS-100: AdamW, a tenth of the rate from epochs 30 and 40.

128 clips a step; every parameter has weight decay, as in the released code.
"""

from mmengine.config import read_base
from mmengine.optim import MultiStepLR
from torch.optim import AdamW

with read_base():
    from .warm_up_cosine_100e import *

train_cfg.update(max_epochs=50, val_interval=5)
optim_wrapper.optimizer = dict(
    type=AdamW, lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05, fused=True
)
optim_wrapper.paramwise_cfg = dict(custom_keys={})
param_scheduler = [
    dict(type=MultiStepLR, milestones=[30, 40], gamma=0.1, by_epoch=True)
]
auto_scale_lr.base_batch_size = 128
