"""SkeletonMamba of 4 blocks on 16 frames of two hands, for CPUs."""

from mmengine.config import read_base

with read_base():
    from .skeleton_mamba_tiny import *

model.encoders.skeleton.update(
    arch="nano", num_frames=16, with_motion=True, drop_path_rate=0.0
)
model.heads.action.in_dims = 64
