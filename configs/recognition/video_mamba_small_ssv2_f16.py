"""VideoMamba Small, 16 frames, fine-tuned on Something-Something V2.

    python tools/train.py configs/recognition/video_mamba_small_ssv2_f16.py

The authors: top-1 67.7 (16 frames, 3 x 4 views).
Their weights: hf://OpenGVLab/VideoMamba/videomamba_s16_ssv2_f16_res224.pth
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .video_mamba_small_ssv2 import *
    from .._base_.datasets.ssv2_video_mamba_f16 import *

model.encoders.video.num_frames = 16
train_dataloader.batch_size = 32  # of each of 16 GPUs
