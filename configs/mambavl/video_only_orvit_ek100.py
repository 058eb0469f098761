"""ORViT without questions on EPIC-KITCHENS-100: what MambaVL adds to.

    python tools/train.py configs/mambavl/video_only_orvit_ek100.py

Paper B, table 1, cites ORViT at 336 px: verb 68.4, noun 58.7, action 45.7.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ek100_boxes_only import *
    from .._base_.default_runtime import *
    from .._base_.models.mambavl_orvit import *
    from .._base_.schedules.mambavl_100e import *

model.encoders.pop("text")
model.neck = None
