"""MambaVL with ORViT on EPIC-KITCHENS-100.

    python tools/train.py configs/mambavl/mambavl_orvit_ek100.py

Paper B, tables 1, 3, 4: verb 69.1, noun 63.9, action 48.6, questions from labels.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ek100_boxes import *
    from .._base_.default_runtime import *
    from .._base_.models.mambavl_orvit import *
    from .._base_.schedules.mambavl_100e import *
