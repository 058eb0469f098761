"""VideoMamba Small, 16 frames, fine-tuned on Kinetics-400.

    python tools/train.py configs/recognition/video_mamba_small_k400_f16.py

The authors: top-1 80.8 (16 frames, 3 x 4 views).
Their weights: hf://OpenGVLab/VideoMamba/videomamba_s16_k400_f16_res224.pth
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .video_mamba_small_k400 import *
    from .._base_.datasets.kinetics400_video_mamba_f16 import *

model.encoders.video.num_frames = 16
train_dataloader.batch_size = 32  # of each of 16 GPUs
