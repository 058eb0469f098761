"""The nano recogniser before the action: its test labels what is observed.

    python tools/train.py configs/mambavl/video_only_nano_tinyego.py
    python tools/questions/from_observed.py \\
        configs/mambavl/video_only_nano_tinyego_observed.py BEST.pth

No paper has this data set. Ours: configs/mambavl/README.md. Trained by itself
(python tools/train.py configs/mambavl/video_only_nano_tinyego_observed.py) it
anticipates, too.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_ek100_anticipation_video import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.mambavl_nano_video_only import *
    from .._base_.schedules.mambavl_nano import *

env_cfg.num_threads = 1
train_dataloader.dataset.pipeline[0].num_frames = dict(video=8)
val_dataloader.dataset.pipeline[0].num_frames = dict(video=8)
test_dataloader.dataset.pipeline[0].num_frames = dict(video=8)
