"""SkeletonMamba Small."""

from mmengine.config import read_base

with read_base():
    from .skeleton_mamba_tiny import *

model.encoders.skeleton.update(arch="small")
model.heads.action.in_dims = 384
