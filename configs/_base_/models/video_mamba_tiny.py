"""VideoMamba Tiny on 8 frames of 224 px, the RGB-only baseline."""

from mmfusion.models import ClassificationHead, MultiModalRecognizer, VideoMamba

model = dict(
    type=MultiModalRecognizer,
    encoders=dict(
        video=dict(type=VideoMamba, arch="tiny", num_frames=8, drop_path_rate=0.1)
    ),
    heads=dict(action=dict(type=ClassificationHead, num_classes=36, in_dims=192)),
)
