"""VideoMamba Tiny as its authors fine-tune it: mixup, cutmix, smoothed labels."""

from mmengine.config import read_base

from mmfusion.models import BatchMix, CrossEntropyLoss, MultiModalPreprocessor

with read_base():
    from .video_mamba_tiny import *

model.data_preprocessor = dict(
    type=MultiModalPreprocessor,
    batch_mix=dict(type=BatchMix, mixup_alpha=0.8, cutmix_alpha=1.0, cutmix_prob=0.5),
)
model.heads.action.update(
    num_classes=174, loss=dict(type=CrossEntropyLoss, label_smoothing=0.1)
)
