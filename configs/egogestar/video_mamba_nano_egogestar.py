"""VideoMamba, RGB only, nano, from scratch, on EgoGestAR.

    python tools/train.py configs/egogestar/video_mamba_nano_egogestar.py

No paper has this protocol. Ours, five folds by scene: configs/egogestar/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.custom_runtime import *
    from .._base_.datasets.egogestar_video import *
    from .._base_.models.custom_video import *
    from .._base_.schedules.adamw_custom import *

train_cfg.max_epochs = 25
