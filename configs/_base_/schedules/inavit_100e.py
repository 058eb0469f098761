"""InAViT's recipe: AdamW, a tenth of the rate from epochs 29 and 60, 100 epochs.

20 clips a step. The recipe says 1e-4 for the interaction blocks and 1e-5 for the rest;
as with ORViT (``orvit_50e``), the released code finds no parameter of that name, so all
have 1e-5.
"""

from mmengine.config import read_base

with read_base():
    from .orvit_50e import *

train_cfg.update(max_epochs=100, val_interval=3)
param_scheduler[0].milestones = [29, 60]
auto_scale_lr.base_batch_size = 20
