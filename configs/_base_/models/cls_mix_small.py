"""Both Small encoders from stage 1 and one Mamba block that fuses them (paper A)."""

from mmengine.config import read_base

with read_base():
    from .cls_mix_tiny import *

model.encoders.video.update(arch="small", drop_path_rate=0.35)
model.encoders.skeleton.update(arch="small")
model.neck.embed_dims = 384
model.heads.action.in_dims = 384
