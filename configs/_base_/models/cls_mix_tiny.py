"""Both Tiny encoders from stage 1 and one Mamba block that fuses them (paper A).

``mix`` and the two checkpoints are for each experiment to say.
"""

from mmfusion.models import (
    AverageMix,
    ClassificationHead,
    CLSMixFusion,
    MultiModalRecognizer,
    SkeletonMamba,
    VideoMamba,
)

model = dict(
    type=MultiModalRecognizer,
    encoders=dict(
        video=dict(
            type=VideoMamba,
            arch="tiny",
            num_frames=8,
            drop_path_rate=0.1,
            init_cfg=dict(type="Pretrained", checkpoint=None, prefix="encoders.video."),
        ),
        skeleton=dict(
            type=SkeletonMamba,
            arch="tiny",
            num_frames=32,
            drop_path_rate=0.1,
            init_cfg=dict(
                type="Pretrained", checkpoint=None, prefix="encoders.skeleton."
            ),
        ),
    ),
    neck=dict(type=CLSMixFusion, mix=dict(type=AverageMix), embed_dims=192),
    heads=dict(action=dict(type=ClassificationHead, num_classes=36, in_dims=192)),
)
