"""A video model that was told nothing, of one that was told, on TinyEgo's kitchen.

    python tools/train.py configs/distill/video_only_from_informative_nano_tinyego.py

The teacher reads informative questions, which tell what no camera sees: this shows how
much of that a student can keep. No paper has this data set. Ours: README.md here.
"""

from mmengine.config import read_base

from mmfusion.models import Distillation, LogitsDistillation
from mmfusion.weights import Pretrained

with read_base():
    from ..mambavl.mambavl_nano_tinyego_informative import model as teacher
    from .._base_.datasets.tinyego_ek100_text_in_training import *
    from .._base_.cpu_runtime import *
    from .._base_.models.mambavl_nano_video_only import *
    from .._base_.schedules.mambavl_nano import *

teacher.init_cfg = dict(
    type=Pretrained, checkpoint="work_dirs/mambavl_nano_tinyego_informative/best.pth"
)
model.auxiliary = dict(
    distill=dict(
        type=Distillation,
        teacher=teacher,
        losses=dict(logits=dict(type=LogitsDistillation)),
    )
)
train_dataloader.dataset.questions = "questions/informative_train.jsonl"
