"""MambaVL nano with a third stream, 16 frames of two hands, that shares A too."""

from mmengine.config import read_base

from mmfusion.models import SkeletonMamba

with read_base():
    from .mambavl_nano import *

model.encoders.skeleton = dict(
    type=SkeletonMamba, arch="nano", num_frames=16, with_motion=True
)
model.neck.streams.skeleton = dict()
