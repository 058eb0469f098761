"""One student for any subset of RGB and hands, of a teacher that sees both, on TinyEgo.

    python tools/train.py configs/distill/multi_subset_nano_tinyego.py

In the manner of KARMMA (arXiv 2504.08578), which has other data. Ours: README.md here.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import DropStreams
from mmfusion.models import AverageMix, Distillation, LogitsDistillation, StandInTokens
from mmfusion.weights import Pretrained

with read_base():
    from ..demo.cls_mix_average_nano_tinyego import model as teacher
    from .._base_.datasets.tinyego import *
    from .._base_.cpu_runtime import *
    from .._base_.models.cls_mix_nano import *
    from .._base_.schedules.adamw_nano_stage2 import *

teacher.init_cfg = dict(
    type=Pretrained, checkpoint="work_dirs/cls_mix_average_nano_tinyego/best.pth"
)
model.neck.mix = dict(type=AverageMix)
model.stand_ins = dict(type=StandInTokens)
model.auxiliary = dict(
    distill=dict(
        type=Distillation,
        teacher=teacher,
        inputs=dict(video="whole_video", skeleton="whole_skeleton"),
        losses=dict(logits=dict(type=LogitsDistillation)),
    )
)
train_dataloader.dataset.pipeline = [
    *train_pipeline,
    dict(type=DropStreams, rates=dict(video=0.33, skeleton=0.33), keep="whole_"),
]
