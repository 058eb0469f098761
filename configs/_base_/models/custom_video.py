"""VideoMamba on one's own clips: 8 frames of 112 px, two to a patch."""

from mmengine.config import read_base

from mmfusion.models import CrossEntropyLoss

with read_base():
    from .video_mamba_nano import *

model.encoders.video.update(img_size=112, drop_path_rate=0.1)
model.heads.action.update(
    num_classes=None,
    in_dims=None,
    drop_rate=0.1,
    init_std=0.15,
    loss=dict(type=CrossEntropyLoss, label_smoothing=0.1),
)
