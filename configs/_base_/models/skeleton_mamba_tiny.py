"""SkeletonMamba Tiny on 32 frames of two hands, the skeleton-only baseline."""

from mmfusion.models import ClassificationHead, MultiModalRecognizer, SkeletonMamba

model = dict(
    type=MultiModalRecognizer,
    encoders=dict(
        skeleton=dict(
            type=SkeletonMamba, arch="tiny", num_frames=32, drop_path_rate=0.1
        )
    ),
    heads=dict(action=dict(type=ClassificationHead, num_classes=36, in_dims=192)),
)
