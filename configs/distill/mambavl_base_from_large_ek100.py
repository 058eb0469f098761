"""MambaVL with AVION's ViT-B, of MambaVL with its ViT-L, on EPIC-KITCHENS-100.

    python tools/train.py configs/distill/mambavl_base_from_large_ek100.py

Paper B has the two apart: actions 49.1 and 55.0. Ours: not yet run.
Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.models import Distillation, FeatureDistillation, LogitsDistillation
from mmfusion.weights import Pretrained

with read_base():
    from ..mambavl.mambavl_large_ek100 import model as teacher
    from ..mambavl.mambavl_base_ek100 import *

teacher.init_cfg = dict(
    type=Pretrained, checkpoint="work_dirs/mambavl_large_ek100/best.pth"
)
model.auxiliary = dict(
    distill=dict(
        type=Distillation,
        teacher=teacher,
        losses=dict(
            logits=dict(type=LogitsDistillation),
            features=dict(
                type=FeatureDistillation,
                student_vector="video",
                teacher_vector="video",
                in_dims=768,
                out_dims=1024,
            ),
        ),
    )
)
