"""VideoMamba Small."""

from mmengine.config import read_base

with read_base():
    from .video_mamba_tiny import *

model.encoders.video.update(arch="small", drop_path_rate=0.35)
model.heads.action.in_dims = 384
