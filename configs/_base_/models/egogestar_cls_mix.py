"""Both encoders from stage 1, frozen, and one Mamba block that fuses them.

``mix`` is open. On 150 clips the encoders have learned what they can in stage 1.
"""

from mmengine.config import read_base

with read_base():
    from .custom_cls_mix import *

model.encoders.video.init_cfg = dict(
    type="Pretrained",
    checkpoint="work_dirs/video_mamba_nano_egogestar/best.pth",
    prefix="encoders.video.",
)
model.encoders.skeleton.init_cfg = dict(
    type="Pretrained",
    checkpoint="work_dirs/skeleton_mamba_nano_egogestar/best.pth",
    prefix="encoders.skeleton.",
)
model.encoders.skeleton.votes = ["scan"]  # stage 1's
model.frozen = ["video", "skeleton"]
