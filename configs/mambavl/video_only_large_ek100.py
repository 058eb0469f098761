"""AVION's ViT-L without questions on EPIC-KITCHENS-100: what MambaVL adds to.

    python tools/train.py configs/mambavl/video_only_large_ek100.py

Paper B, table 1, cites AVION itself: verb 73.0, noun 65.4, action 54.4.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ek100_video import *
    from .._base_.default_runtime import *
    from .._base_.models.mambavl_large import *
    from .._base_.schedules.mambavl_100e import *

model.encoders.pop("text")
model.neck = None
model.encoders.video.init_cfg = dict(
    type="Pretrained", checkpoint="checkpoints/avion_pretrain_lavila_vitl_best.pt"
)
