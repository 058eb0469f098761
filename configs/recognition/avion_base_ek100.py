"""AVION's ViT-B on EPIC-KITCHENS-100: 3,806 actions, summed to verbs and nouns.

    python tools/train.py configs/recognition/avion_base_ek100.py

The authors: verb 70.0, noun 59.4, action 49.5.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ek100_video import *
    from .._base_.default_runtime import *
    from .._base_.models.avion_base import *
    from .._base_.schedules.avion_100e import *

train_dataloader.batch_size = 64  # of each of 8 GPUs
model.encoders.video.init_cfg = dict(
    type="Pretrained", checkpoint="checkpoints/avion_pretrain_lavila_vitb_best.pt"
)
