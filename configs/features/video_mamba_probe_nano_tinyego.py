"""A probe on the kept tokens of TinyEgo's frozen RGB model.

    python tools/train.py configs/demo/video_mamba_nano_tinyego.py
    python tools/features.py configs/features/video_mamba_probe_nano_tinyego.py \\
        --out work_dirs/features/video_mamba_nano_tinyego
    python tools/train.py configs/features/video_mamba_probe_nano_tinyego.py

No paper has this data set. Ours: configs/features/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_video import *
    from .._base_.cpu_runtime import *
    from .._base_.models.video_mamba_probe_nano import *
    from .._base_.schedules.adamw_nano import *

# nothing at random: a clip has one set of tokens
train_dataloader.dataset.pipeline = val_dataloader.dataset.pipeline
features = dict(video="work_dirs/features/video_mamba_nano_tinyego")
