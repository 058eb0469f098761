"""CLS mix, average, nano, on TinyEgo: both streams from scratch, in one stage.

    python tools/train.py configs/streams/scratch_average_nano_tinyego.py

No paper has this data set. Ours: configs/streams/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego import *
    from .._base_.cpu_runtime import *
    from .._base_.models.cls_mix_nano import *
    from .._base_.schedules.adamw_nano import *

model.encoders.video.init_cfg = None
model.encoders.skeleton.init_cfg = None
