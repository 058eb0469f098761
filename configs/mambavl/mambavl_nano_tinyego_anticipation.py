"""MambaVL, nano: what comes next in TinyEgo's kitchen, with predicted questions.

    python tools/train.py configs/mambavl/mambavl_nano_tinyego_anticipation.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_ek100_anticipation import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.mambavl_nano import *
    from .._base_.schedules.mambavl_nano import *

env_cfg.num_threads = 1
