"""AVT-b, EPIC-KITCHENS-100, 1 s ahead, from 10 frames of 10 s.

    python tools/train.py configs/systems/avt_base_ek100_anticipation.py

Paper: validation, class-mean recall@5 of actions 14.9 (AVT's README, b082c99).
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import LabelObserved

with read_base():
    from .._base_.datasets.ek100_anticipation_video import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.avt_base import *
    from .._base_.schedules.avt_50e import *

_window.update(num_frames=dict(video=10), tau_o=10.0)
_train_frames[0] = dict(_window, mode="random", drop="empty")
_val_frames[0] = dict(_window, mode="uniform")
train_pipeline = [*_train_frames, dict(type=LabelObserved), _pack]
val_pipeline = [*_val_frames, _pack]
train_dataloader.dataset.update(pipeline=train_pipeline, past_seconds=12.0)
val_dataloader.dataset.pipeline = val_pipeline
val_evaluator = val_evaluator[:1]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
model.encoders.video.init_cfg = dict(
    type="Pretrained",
    checkpoint="checkpoints/jx_vit_base_patch16_224_in21k-e5005f0a.pth",
    ignore=["head.", "pre_logits."],
)
optim_wrapper.optimizer.lr = 3.2e-3  # 1e-4 a process of 3 clips, 32 processes
auto_scale_lr.base_batch_size = 96
