"""``online_nano`` with two hands beside the video, fused by two layers a moment.

Both encoders start from stage 1.
"""

from mmengine.config import read_base

from mmfusion.models import CausalSkeletonMamba, MLPFusion

with read_base():
    from .online_nano import *

model.encoders.video.init_cfg = dict(
    type="Pretrained", checkpoint=None, prefix="encoders.video."
)
model.encoders.skeleton = dict(
    type=CausalSkeletonMamba,
    arch="nano",
    memory=4,
    init_cfg=dict(type="Pretrained", checkpoint=None, prefix="encoders.skeleton."),
)
model.neck.neck = dict(
    type=MLPFusion, embed_dims=64, streams=dict(video=dict(), skeleton=dict())
)
