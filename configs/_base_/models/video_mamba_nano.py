"""VideoMamba of 4 blocks on 8 frames of 64 px, two to a patch, for CPUs."""

from mmengine.config import read_base

with read_base():
    from .video_mamba_tiny import *

model.encoders.video.update(
    arch="nano", img_size=64, tubelet_size=2, drop_path_rate=0.0, reset_dt=False
)
model.heads.action.in_dims = 64
