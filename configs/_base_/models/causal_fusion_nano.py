"""Both causal nano encoders from stage 1, and two layers on what they read out."""

from mmfusion.models import (
    CausalSkeletonMamba,
    CausalVideoMamba,
    ClassificationHead,
    MLPFusion,
    MultiModalRecognizer,
)

model = dict(
    type=MultiModalRecognizer,
    encoders=dict(
        video=dict(
            type=CausalVideoMamba,
            arch="nano",
            img_size=64,
            init_cfg=dict(type="Pretrained", checkpoint=None, prefix="encoders.video."),
        ),
        skeleton=dict(
            type=CausalSkeletonMamba,
            arch="nano",
            init_cfg=dict(
                type="Pretrained", checkpoint=None, prefix="encoders.skeleton."
            ),
        ),
    ),
    neck=dict(
        type=MLPFusion, embed_dims=64, streams=dict(video=dict(), skeleton=dict())
    ),
    heads=dict(
        action=dict(type=ClassificationHead, num_classes=36, in_dims=64, init_std=0.15)
    ),
)
