"""MeMViT-24, EPIC-KITCHENS-100, 1 s ahead, from 3 clips of 32 frames in 9.6 s.

    python tools/train.py configs/systems/memvit_24_ek100_anticipation.py

As ``memvit_16_ek100_anticipation``, from the authors' weights of Kinetics-700.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .memvit_16_ek100_anticipation import *

_window.update(num_frames=dict(video=96), num_clips=3, tau_o=3 * 96 / 30)
_train_frames[0] = dict(_window, mode="random", drop="empty")
_val_frames[0] = dict(_window, mode="uniform")
train_pipeline = [*_train_frames, _pack]
val_pipeline = [*_val_frames, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
model.encoders.video.update(arch="24", num_frames=32, num_clips=3, with_cp=True)
model.encoders.video.init_cfg.checkpoint = "checkpoints/MeMViT_24L_32x3_K700.pyth"
