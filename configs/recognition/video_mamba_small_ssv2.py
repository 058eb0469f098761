"""VideoMamba Small, fine-tuned on Something-Something V2.

    python tools/train.py configs/recognition/video_mamba_small_ssv2.py

The authors: top-1 66.6 (8 frames, 3 x 4 views).
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ssv2_video_mamba import *
    from .._base_.default_runtime import *
    from .._base_.models.video_mamba_fine_tune import *
    from .._base_.schedules.video_mamba_30e import *

model.encoders.video.update(
    arch="small",
    drop_path_rate=0.35,
    init_cfg=dict(
        type="Pretrained",
        checkpoint="hf://OpenGVLab/VideoMamba/videomamba_s16_in1k_res224.pth",
    ),
)
model.heads.action.in_dims = 384
