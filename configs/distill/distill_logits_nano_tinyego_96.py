"""RGB student of RGB + hands, soft labels, on TinyEgo with 96 of 600 clips labelled.

    python tools/train.py configs/distill/distill_logits_nano_tinyego_96.py

No paper has this data set. Ours: RGB 67.2, plain RGB 60.8; configs/distill/README.md.
"""

from mmengine.config import read_base

from mmfusion.weights import Pretrained

with read_base():
    from .distill_logits_nano_tinyego_150 import *
    from .cls_mix_average_nano_tinyego_96 import model as teacher

teacher.init_cfg = dict(
    type=Pretrained, checkpoint="work_dirs/cls_mix_average_nano_tinyego_96/best.pth"
)
model.auxiliary.distill.teacher = teacher
train_dataloader.dataset.labelled = 96
train_cfg.val_interval = 6  # as often as the plain model
