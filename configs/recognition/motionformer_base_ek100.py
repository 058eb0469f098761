"""Motionformer on EPIC-KITCHENS-100, 16 frames of 224 px.

    python tools/train.py configs/recognition/motionformer_base_ek100.py

The authors: action 43.1, noun 56.5 (10 x 3 views).
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ek100_motionformer import *
    from .._base_.default_runtime import *
    from .._base_.models.motionformer_base import *
    from .._base_.schedules.motionformer_50e import *

model.encoders.video.init_cfg = dict(
    type="Pretrained", checkpoint="checkpoints/k400_motionformer_224_16x4.pyth"
)
