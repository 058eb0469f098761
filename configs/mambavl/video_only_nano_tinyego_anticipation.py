"""Video only, nano: what comes next in TinyEgo's kitchen, 1 s ahead.

    python tools/train.py configs/mambavl/video_only_nano_tinyego.py
    python tools/train.py configs/mambavl/video_only_nano_tinyego_anticipation.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_ek100_anticipation_video import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.mambavl_nano_video_only import *
    from .._base_.schedules.mambavl_nano_anticipation import *

env_cfg.num_threads = 1
model.encoders.video.num_frames = 2
model.encoders.video.init_cfg = dict(
    type="Pretrained",
    checkpoint="work_dirs/video_only_nano_tinyego/best.pth",
    prefix="encoders.video",
)
