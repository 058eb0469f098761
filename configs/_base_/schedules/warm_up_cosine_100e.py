"""Parts that schedules share: 100 epochs, 2 of linear warm-up, a cosine by iteration.

A schedule adds its optimizer, what decays and from which to which part of its rate. No
weight decay on norms and biases.
"""

from mmengine.optim import CosineAnnealingLR, LinearLR
from mmengine.runner import TestLoop, ValLoop

from mmfusion.engine import (
    FusionOptimWrapper,
    GroupedOptimWrapperConstructor,
    ResumableTrainLoop,
)

train_cfg = dict(type=ResumableTrainLoop, max_epochs=100, val_interval=1)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)

optim_wrapper = dict(
    type=FusionOptimWrapper,
    constructor=GroupedOptimWrapperConstructor,
    accumulative_counts=1,
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(
        type=LinearLR,
        start_factor=0.01,
        begin=0,
        end=2,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type=CosineAnnealingLR,
        eta_min_ratio=0.01,
        T_max=98,
        begin=2,
        end=100,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(enable=False)
