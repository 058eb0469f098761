"""RGB student of RGB + hands by soft labels, nano, on TinyEgo, every clip labelled.

    python tools/train.py configs/distill/distill_logits_nano_tinyego.py

No paper has this data set. Ours: configs/distill/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import Distillation, LogitsDistillation
from mmfusion.weights import Pretrained

with read_base():
    from ..demo.cls_mix_average_nano_tinyego import model as teacher
    from .._base_.datasets.tinyego_hands_in_training import *
    from .._base_.cpu_runtime import *
    from .._base_.models.video_mamba_nano import *
    from .._base_.schedules.adamw_nano import *

teacher.init_cfg = dict(
    type=Pretrained, checkpoint="work_dirs/cls_mix_average_nano_tinyego/best.pth"
)
model.auxiliary = dict(
    distill=dict(
        type=Distillation,
        teacher=teacher,
        losses=dict(logits=dict(type=LogitsDistillation)),
    )
)
