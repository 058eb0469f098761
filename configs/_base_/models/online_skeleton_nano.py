"""``online_nano`` for two hands in place of video."""

from mmengine.config import read_base

from mmfusion.models import CausalSkeletonMamba

with read_base():
    from .online_nano import *

model.encoders = dict(skeleton=dict(type=CausalSkeletonMamba, arch="nano", memory=4))
model.neck.stream = "skeleton"
