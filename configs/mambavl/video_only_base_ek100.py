"""AVION's ViT-B without questions on EPIC-KITCHENS-100: what MambaVL adds to.

    python tools/train.py configs/mambavl/video_only_base_ek100.py

Paper B, table 1, cites AVION itself: verb 70.0, noun 59.8, action 49.1.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ek100_video import *
    from .._base_.default_runtime import *
    from .._base_.models.mambavl_base import *
    from .._base_.schedules.mambavl_100e import *

model.encoders.pop("text")
model.neck = None
model.encoders.video.init_cfg = dict(
    type="Pretrained", checkpoint="checkpoints/avion_pretrain_lavila_vitb_best.pt"
)
