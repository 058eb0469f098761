"""SGD, 100 epochs: 2 of warm-up, then a cosine; the fusion at three times the rate.

Paper B, section 4: learning rate from 1e-6 to a peak of 1e-3 in 2 epochs, then by a
cosine to 1e-5; the Mamba block's peak is 3e-3; batch 128 over 8 GPUs. It leaves open,
and we take from its released configs: SGD with momentum 0.9 and weight decay 4e-5 (the
rates are SGD's, AVION's recipe). Weight decay on matrices only.

All groups follow one curve, each to its own peak: the fusion from 3e-6 to 3e-3 to 3e-5.
The release warms every group up to the rate of the rest, from which the fusion then
jumps to its own; and its shared A_log has the rest's rate and weight decay.
"""

from mmengine.config import read_base
from torch.optim import SGD

with read_base():
    from .warm_up_cosine_100e import *

optim_wrapper.optimizer = dict(
    type=SGD, lr=1e-3, momentum=0.9, weight_decay=4e-5, fused=True
)
optim_wrapper.paramwise_cfg.custom_keys = {
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
}
# each encoder and each fusion has some of these
optim_wrapper.paramwise_cfg.may_be_absent = [
    "neck.",
    ".A_log",
    ".A_b_log",
    ".D",
    "pos_embed",
    "positional_embedding",
    "temporal_",
    "temp_embed",
    "modality_embed",
    "class_embedding",
    "cls_token",
    "box_categories",
]
param_scheduler[0].start_factor = 1e-3
auto_scale_lr.base_batch_size = 128
