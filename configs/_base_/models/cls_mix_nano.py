"""Both nano encoders from stage 1 and one Mamba block that fuses them, for CPUs."""

from mmengine.config import read_base

with read_base():
    from .cls_mix_tiny import *

model.encoders.video.update(
    arch="nano",
    img_size=64,
    tubelet_size=2,
    drop_path_rate=0.0,
    reset_dt=False,
    init_cfg=dict(checkpoint="work_dirs/video_mamba_nano_tinyego/best.pth"),
)
model.encoders.skeleton.update(
    arch="nano",
    num_frames=16,
    with_motion=True,
    drop_path_rate=0.0,
    init_cfg=dict(checkpoint="work_dirs/skeleton_mamba_nano_tinyego/best.pth"),
)
model.neck.embed_dims = 64
model.heads.action.in_dims = 64
