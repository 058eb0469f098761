"""CausalSkeletonMamba of 4 blocks on two hands, frame by frame, for CPUs."""

from mmfusion.models import (
    CausalSkeletonMamba,
    ClassificationHead,
    MultiModalRecognizer,
)

model = dict(
    type=MultiModalRecognizer,
    encoders=dict(skeleton=dict(type=CausalSkeletonMamba, arch="nano")),
    heads=dict(
        action=dict(type=ClassificationHead, num_classes=36, in_dims=64, init_std=0.15)
    ),
)
