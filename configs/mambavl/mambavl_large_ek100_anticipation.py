"""MambaVL with AVION's ViT-L, EPIC-KITCHENS-100, 1 s ahead.

    python tools/train.py configs/mambavl/mambavl_large_ek100_anticipation.py

Not in paper B.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ek100_anticipation import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.mambavl_large import *
    from .._base_.schedules.mambavl_anticipation_50e import *

model.encoders.video.init_cfg = dict(
    type="Pretrained", checkpoint="checkpoints/avion_pretrain_lavila_vitl_best.pt"
)
