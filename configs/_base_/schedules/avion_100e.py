"""AVION's fine-tuning: SGD, 2 epochs of warm-up, a cosine.

Rates are those of 512 clips a step: 3e-3 x 512 / 128, from 1e-6 x 4 and to 1e-5 x 4.
No weight decay on what has one axis and on the positions in a frame.
"""

from mmengine.config import read_base
from torch.optim import SGD

with read_base():
    from .warm_up_cosine_100e import *

train_cfg.val_interval = 5
optim_wrapper.optimizer = dict(
    type=SGD, lr=1.2e-2, momentum=0.9, weight_decay=4e-5, fused=True
)
optim_wrapper.paramwise_cfg.custom_keys = {
    "positional_embedding": dict(decay_mult=0.0),
    "class_embedding": dict(decay_mult=0.0),
}
param_scheduler[0].start_factor = 1 / 3000
param_scheduler[1].eta_min_ratio = 1 / 300
auto_scale_lr.base_batch_size = 512
