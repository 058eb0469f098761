"""VideoMamba that learns from a hundred clips: what moves, in 16 frames of 64 px.

Why each line: configs/custom/README.md, "RGB from scratch".
"""

from mmengine.config import read_base

from mmfusion.models import ConvStem, CrossEntropyLoss

with read_base():
    from .video_mamba_nano import *

model.encoders.video.update(
    num_frames=16,
    init_std=None,
    summary="mean",
    stem=dict(type=ConvStem, inputs=["motion"]),
    drop_path_rate=0.1,
)
model.heads.action.update(
    num_classes=None,
    in_dims=None,
    drop_rate=0.1,
    init_std=0.15,
    loss=dict(type=CrossEntropyLoss, label_smoothing=0.1),
)
