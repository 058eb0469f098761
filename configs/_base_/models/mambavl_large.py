"""MambaVL with AVION's ViT-L/14 on 16 frames of 224 px (paper B, Table 1)."""

from mmengine.config import read_base

with read_base():
    from .mambavl_base import *

model.encoders.video.arch = "large"
model.neck.embed_dims = 1024
model.heads.verb.in_dims = 1024
model.heads.noun.in_dims = 1024
