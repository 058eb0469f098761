"""VideoMAE-B, frozen, with V-JEPA's attentive probe, on clips of one's own.

    python tools/train.py configs/pretrained/videomae_base_probe_custom.py

No paper has this data set. Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.custom_published_video import *
    from .._base_.custom_runtime import *
    from .._base_.models.videomae_base_probe import *
    from .._base_.schedules.adamw_probe import *
