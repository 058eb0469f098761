"""RGB student of RGB + hands, soft labels, on TinyEgo with 96 of 600 clips labelled.

    python tools/train.py configs/distill/distill_logits_nano_tinyego_96.py

No paper has this data set. Ours: RGB 67.2, plain RGB 60.8; configs/distill/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import Distillation, LogitsDistillation
from mmfusion.weights import Pretrained

with read_base():
    from .cls_mix_average_nano_tinyego_96 import model as teacher
    from .._base_.datasets.tinyego_hands_in_training import *
    from .._base_.cpu_runtime import *
    from .._base_.models.video_mamba_nano import *
    from .._base_.schedules.adamw_nano import *

teacher.init_cfg = dict(
    type=Pretrained, checkpoint="work_dirs/cls_mix_average_nano_tinyego_96/best.pth"
)
model.update(
    unlabelled=True,
    auxiliary=dict(
        distill=dict(
            type=Distillation,
            teacher=teacher,
            losses=dict(logits=dict(type=LogitsDistillation, temperature=2.0)),
        )
    ),
)
train_dataloader.dataset.labelled = 96
train_cfg.val_interval = 6  # as often as the plain model
