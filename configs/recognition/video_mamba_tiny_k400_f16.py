"""VideoMamba Tiny, 16 frames, fine-tuned on Kinetics-400.

    python tools/train.py configs/recognition/video_mamba_tiny_k400_f16.py

The authors: top-1 78.1 (16 frames, 3 x 4 views).
Their weights: hf://OpenGVLab/VideoMamba/videomamba_t16_k400_f16_res224.pth
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .video_mamba_tiny_k400 import *

model.encoders.video.num_frames = 16
train_dataloader.dataset.pipeline[0].num_frames = 16
val_dataloader.dataset.pipeline[0].num_frames = 16
test_dataloader.dataset.pipeline[0].num_frames = 16
