"""MeMViT-16, EPIC-KITCHENS-100, 1 s ahead, from 5 clips of 16 frames in 10.7 s.

    python tools/train.py configs/systems/memvit_16_ek100_anticipation.py

The authors published neither weights nor a recipe for this data: weights are theirs of
Kinetics-400, the schedule is AVT's. Paper: configs/systems/README.md.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ek100_anticipation_video import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.memvit import *
    from .._base_.schedules.avt_50e import *

_window.update(num_frames=dict(video=80), num_clips=5, tau_o=5 * 64 / 30)
_train_frames[0] = dict(_window, mode="random", drop="empty")
_val_frames[0] = dict(_window, mode="uniform")
train_pipeline = [*_train_frames, _pack]
val_pipeline = [*_val_frames, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
val_evaluator = val_evaluator[:1]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
model.encoders.video.init_cfg = dict(
    type="Pretrained",
    checkpoint="checkpoints/MeMViT_16L_16x4_K400.pyth",
    fresh=["blocks.*.attn.*compress_*", "blocks.*.attn.rel_pos_mem_*"],
)
optim_wrapper.optimizer.lr = 3.2e-3
auto_scale_lr.base_batch_size = 96
