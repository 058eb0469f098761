"""CausalVideoMamba of 2 + 2 blocks on frames of 64 px, for CPUs."""

from mmfusion.models import CausalVideoMamba, ClassificationHead, MultiModalRecognizer

model = dict(
    type=MultiModalRecognizer,
    encoders=dict(video=dict(type=CausalVideoMamba, arch="nano", img_size=64)),
    heads=dict(
        action=dict(type=ClassificationHead, num_classes=36, in_dims=64, init_std=0.15)
    ),
)
