"""AVION's fine-tuning: SGD, 2 epochs of warm-up, a cosine.

Rates are those of 512 clips a step: 3e-3 x 512 / 128, from 1e-6 x 4 and to 1e-5 x 4.
No weight decay on what has one axis and on the positions in a frame.
"""

from mmengine.optim import CosineAnnealingLR, LinearLR
from mmengine.runner import TestLoop, ValLoop
from torch.optim import SGD

from mmfusion.engine import (
    FusionOptimWrapper,
    GroupedOptimWrapperConstructor,
    ResumableTrainLoop,
)

train_cfg = dict(type=ResumableTrainLoop, max_epochs=100, val_interval=5)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)

optim_wrapper = dict(
    type=FusionOptimWrapper,
    constructor=GroupedOptimWrapperConstructor,
    optimizer=dict(type=SGD, lr=1.2e-2, momentum=0.9, weight_decay=4e-5),
    accumulative_counts=1,
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={
            "positional_embedding": dict(decay_mult=0.0),
            "class_embedding": dict(decay_mult=0.0),
        },
    ),
)
param_scheduler = [
    dict(
        type=LinearLR,
        start_factor=1 / 3000,
        begin=0,
        end=2,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type=CosineAnnealingLR,
        eta_min_ratio=1 / 300,
        T_max=98,
        begin=2,
        end=100,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(enable=False, base_batch_size=512)
