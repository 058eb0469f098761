"""InAViT, EPIC-KITCHENS-100, 1 s ahead, from 16 frames and boxes of hands and objects.

    python tools/train.py configs/systems/inavit_ek100_anticipation.py

Paper: validation, class-mean recall@5 of actions 25.89. Not comparable: its loader
leaves no gap, and it counts 25 pairs (configs/mambavl/PROTOCOLS.md).
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.models import InAViT

with read_base():
    from .._base_.datasets.ek100_inavit import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.motionformer_base import *
    from .._base_.schedules.inavit_100e import *

model.encoders.video = dict(
    type=InAViT,
    arch="base",
    num_hands=1,
    num_objects=4,
    drop_path_rate=0.2,
    init_cfg=dict(
        type="Pretrained",
        checkpoint="checkpoints/ek_motionformer_224_16x4.pyth",
        ignore=["blocks.1.*", "blocks.6.*", "blocks.10.*"],  # InAViT's own parts
    ),
)
model.heads.verb.loss.update(label_smoothing=0.1, loss_weight=1.0)
model.heads.noun.loss.update(label_smoothing=0.1, loss_weight=1.0)
