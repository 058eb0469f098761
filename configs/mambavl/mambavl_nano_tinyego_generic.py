"""MambaVL, nano, on TinyEgo's kitchen; the same two questions for every clip.

    python tools/train.py configs/mambavl/mambavl_nano_tinyego_generic.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_ek100 import *
    from .._base_.cpu_runtime import *
    from .._base_.models.mambavl_nano import *
    from .._base_.schedules.mambavl_nano import *
