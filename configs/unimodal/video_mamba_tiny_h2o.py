"""VideoMamba, RGB only, Tiny, on H2O.

    python tools/train.py configs/unimodal/video_mamba_tiny_h2o.py

Paper A, table 2 (its text names H2O, its caption OakInk2): top-1 56.19.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.h2o_video import *
    from .._base_.default_runtime import *
    from .._base_.models.video_mamba_tiny import *
    from .._base_.schedules.adamw_50e import *

model.encoders.video.init_cfg = dict(
    type="Pretrained",
    checkpoint="hf://OpenGVLab/VideoMamba/videomamba_t16_ssv2_f8_res224.pth",
)
