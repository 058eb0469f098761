"""VideoMamba nano, frozen, with V-JEPA's attentive probe, for TinyEgo."""

from mmengine.config import read_base

from mmfusion.models import AttentiveProbe

with read_base():
    from .video_mamba_nano import *

model.encoders.video.init_cfg = dict(
    type="Pretrained",
    checkpoint="work_dirs/video_mamba_nano_tinyego/best.pth",
    prefix="encoders.video",
)
model.frozen = ("video",)
model.neck = dict(type=AttentiveProbe, embed_dims=64, num_heads=4)
