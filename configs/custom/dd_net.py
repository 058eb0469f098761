"""DD-Net, lite, on skeletons of one's own: the rival of ``skeleton_mamba.py``.

    python tools/train.py configs/custom/dd_net.py

No paper has this data set. Ours: mmfusion/models/skeleton_encoders/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.custom_skeleton import *
    from .._base_.custom_runtime import *
    from .._base_.models.dd_net import *
    from .._base_.schedules.adamw_custom_skeleton import *
