"""Motionformer on EPIC-KITCHENS-100: AdamW, a tenth of the rate from epochs 30 and 40.

128 clips a step; every parameter has weight decay, as in the released code.
"""

from mmengine.optim import MultiStepLR
from mmengine.runner import TestLoop, ValLoop
from torch.optim import AdamW

from mmfusion.engine import (
    FusionOptimWrapper,
    GroupedOptimWrapperConstructor,
    ResumableTrainLoop,
)

train_cfg = dict(type=ResumableTrainLoop, max_epochs=50, val_interval=5)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)

optim_wrapper = dict(
    type=FusionOptimWrapper,
    constructor=GroupedOptimWrapperConstructor,
    optimizer=dict(type=AdamW, lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    accumulative_counts=1,
    paramwise_cfg=dict(custom_keys={}),
)
param_scheduler = [
    dict(type=MultiStepLR, milestones=[30, 40], gamma=0.1, by_epoch=True)
]
auto_scale_lr = dict(enable=False, base_batch_size=128)
