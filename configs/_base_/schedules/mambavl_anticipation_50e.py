"""AdamW, 50 epochs in three steps: the anticipation recipe of ORViT and paper B.

Paper B, section 4, takes ORViT's settings for anticipation and adds none. From its
released config: AdamW with weight decay 0.05, rate 1e-5 for the video encoder, 2e-5 for
the rest, 2e-4 for the fusion, divided by 10 at epoch 19 and again at 40, batch 24 on 8
GPUs. Weight decay on matrices only, all groups in one rhythm, as in ``mambavl_100e``.
"""

from mmengine.config import read_base
from mmengine.optim import MultiStepLR
from torch.optim import AdamW

with read_base():
    from .mambavl_100e import *

train_cfg.max_epochs = 50
optim_wrapper.optimizer = dict(
    type=AdamW, lr=2e-5, betas=(0.9, 0.999), weight_decay=0.05, fused=True
)
optim_wrapper.paramwise_cfg.custom_keys["neck."] = dict(lr_mult=10.0)
optim_wrapper.paramwise_cfg.custom_keys["encoders.video."] = dict(lr_mult=0.5)
param_scheduler = [dict(type=MultiStepLR, milestones=[19, 40], gamma=0.1)]
auto_scale_lr.base_batch_size = 24
