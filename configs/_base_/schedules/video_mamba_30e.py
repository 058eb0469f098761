"""VideoMamba's fine-tuning: AdamW, 5 epochs of warm-up, a cosine, bf16.

Rates are those of the authors' batch: base 4e-4 x (512 clips x 2 repeats) / 256, with
warm-up from and cosine to base 1e-6. `--auto-scale-lr` scales them for another number
of clips a step. Weight decay as in their code: on all but norms, biases, D and the
tables of positions and CLS token; A_log has it.

layer_decay's form `published` is what their code does: the stem at .75 ** (blocks + 1),
all else at 1. `intended` is layer decay as it is meant.
"""

from mmengine.optim import CosineAnnealingLR, LinearLR
from mmengine.runner import TestLoop, ValLoop
from torch.optim import AdamW

from mmfusion.engine import (
    FusionOptimWrapper,
    GroupedOptimWrapperConstructor,
    ResumableTrainLoop,
)

train_cfg = dict(type=ResumableTrainLoop, max_epochs=30, val_interval=1)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)

optim_wrapper = dict(
    type=FusionOptimWrapper,
    constructor=GroupedOptimWrapperConstructor,
    optimizer=dict(type=AdamW, lr=1.6e-3, betas=(0.9, 0.999), weight_decay=0.05),
    accumulative_counts=1,
    dtype="bfloat16",
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={
            ".D": dict(decay_mult=0.0),  # and D_b
            "pos_embed": dict(decay_mult=0.0),
            "temporal_pos_embedding": dict(decay_mult=0.0),
            "cls_token": dict(decay_mult=0.0),
        },
        layer_decay=dict(rate=0.75, form="published"),
    ),
)
param_scheduler = [
    dict(
        type=LinearLR,
        start_factor=1 / 400,
        begin=0,
        end=5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type=CosineAnnealingLR,
        eta_min_ratio=1 / 400,
        T_max=25,
        begin=5,
        end=30,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(enable=False, base_batch_size=512)
