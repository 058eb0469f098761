"""MambaVL with ORViT, EPIC-KITCHENS-100, 1 s ahead.

    python tools/train.py configs/mambavl/mambavl_orvit_ek100_anticipation.py

Paper B, table 2: recall@5 verb 29.1, noun 35.1, action 23.9.
Not comparable: its loader leaves no gap.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ek100_anticipation_boxes import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.mambavl_orvit import *
    from .._base_.schedules.mambavl_anticipation_50e import *
