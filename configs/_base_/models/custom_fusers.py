"""Encoders of ``custom_cls_mix`` for the fusers of paper B; the neck is open."""

from mmengine.config import read_base

with read_base():
    from .custom_cls_mix import *

model.neck = dict(
    type=None, embed_dims=None, streams=dict(video=dict(), skeleton=dict())
)
