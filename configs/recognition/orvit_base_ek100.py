"""ORViT on Motionformer on EPIC-KITCHENS-100, 16 frames of 336 px, with boxes.

    python tools/train.py configs/recognition/orvit_base_ek100.py

The authors: action 45.7 (10 x 3 views; ours 10 x 1).
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.models import ORViT

with read_base():
    from .._base_.datasets.ek100_orvit import *
    from .._base_.default_runtime import *
    from .._base_.models.motionformer_base import *
    from .._base_.schedules.orvit_50e import *

model.encoders.video = dict(
    type=ORViT,
    img_size=336,
    drop_path_rate=0.2,
    init_cfg=dict(
        type="Pretrained",
        checkpoint="checkpoints/ek_motionformer_336_16x4.pyth",
        ignore=["blocks.1.*", "blocks.6.*", "blocks.10.*"],  # ORViT's own
    ),
)
model.heads.verb.loss.update(label_smoothing=0.1, loss_weight=1.0)
model.heads.noun.loss.update(label_smoothing=0.1, loss_weight=1.0)
