"""AVT's and AFFT's recipe: Nesterov's SGD, 20 epochs of warm-up, a cosine.

50 epochs in all, weight decay 1e-6 on everything. A config gives the rate of its batch.
"""

from mmengine.config import read_base
from torch.optim import SGD

with read_base():
    from .warm_up_cosine_100e import *

train_cfg.max_epochs = 50
optim_wrapper.paramwise_cfg = dict()
optim_wrapper.optimizer = dict(
    type=SGD, lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-6, fused=True
)
param_scheduler[0].update(start_factor=1e-4, end=20)
param_scheduler[1].update(eta_min_ratio=0.0, T_max=30, begin=20, end=50)
auto_scale_lr.base_batch_size = 64
