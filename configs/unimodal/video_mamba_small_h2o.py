"""VideoMamba, RGB only, Small, on H2O.

    python tools/train.py configs/unimodal/video_mamba_small_h2o.py

Paper A, table 2 (its text names H2O, its caption OakInk2): top-1 48.57.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.h2o_video import *
    from .._base_.default_runtime import *
    from .._base_.models.video_mamba_small import *
    from .._base_.schedules.adamw_50e import *

model.encoders.video.init_cfg = dict(
    type="Pretrained",
    checkpoint="hf://OpenGVLab/VideoMamba/videomamba_s16_ssv2_f8_res224.pth",
)
