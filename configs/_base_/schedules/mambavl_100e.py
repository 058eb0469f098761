"""SGD, 100 epochs: 2 of warm-up, then a cosine; the fusion at three times the rate.

Paper B, section 4: learning rate from 1e-6 to a peak of 1e-3 in 2 epochs, then by a
cosine to 1e-5; the Mamba block's peak is 3e-3; batch 128 over 8 GPUs. It leaves open,
and we take from its released configs: SGD with momentum 0.9 and weight decay 4e-5 (the
rates are SGD's, AVION's recipe). Weight decay on matrices only.

All groups follow one curve, each to its own peak: the fusion from 3e-6 to 3e-3 to 3e-5.
The release warms every group up to the rate of the rest, from which the fusion then
jumps to its own; and its shared A_log has the rest's rate and weight decay.
"""

from mmengine.optim import CosineAnnealingLR, LinearLR
from mmengine.runner import TestLoop, ValLoop
from torch.optim import SGD

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
    optimizer=dict(type=SGD, lr=1e-3, momentum=0.9, weight_decay=4e-5),
    accumulative_counts=1,
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={
            "neck.": dict(lr_mult=3.0),
            ".A_log": dict(decay_mult=0.0),
            ".A_b_log": dict(decay_mult=0.0),
            ".D": dict(decay_mult=0.0),  # and D_b
            "pos_embed": dict(decay_mult=0.0),
            "positional_embedding": dict(decay_mult=0.0),
            "temporal_": dict(decay_mult=0.0),
            "temp_embed": dict(decay_mult=0.0),
            "modality_embed": dict(decay_mult=0.0),
            "class_embedding": dict(decay_mult=0.0),
            "cls_token": dict(decay_mult=0.0),
            "box_categories": dict(decay_mult=0.0),
            "logit_scale": dict(decay_mult=0.0),
        },
    ),
)
param_scheduler = [
    dict(
        type=LinearLR,
        start_factor=1e-3,
        begin=0,
        end=2,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type=CosineAnnealingLR,
        eta_min_ratio=1e-2,
        T_max=98,
        begin=2,
        end=100,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(enable=False, base_batch_size=128)
