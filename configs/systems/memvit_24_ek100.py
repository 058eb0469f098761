"""MeMViT-24, EPIC-KITCHENS-100: the action's 32 frames, and 2 clips before it.

    python tools/train.py configs/systems/memvit_24_ek100.py

As ``memvit_16_ek100``, from the authors' weights of Kinetics-600.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .memvit_16_ek100 import *

_clips.update(num_frames=dict(video=96), num_clips=3, clip_seconds=96 / 30)
_train_frames[0] = dict(_clips, mode="random")
_val_frames[0] = dict(_clips, mode="uniform")
train_pipeline = [*_train_frames, _pack]
val_pipeline = [*_val_frames, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
model.encoders.video.update(arch="24", num_frames=32, num_clips=3, with_cp=True)
model.encoders.video.init_cfg.checkpoint = "checkpoints/MeMViT_24L_32x3_K600.pyth"
