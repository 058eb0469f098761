"""VideoMamba Middle, 16 frames, fine-tuned on Something-Something V2.

    python tools/train.py configs/recognition/video_mamba_middle_ssv2_f16.py

The authors: top-1 68.3 (16 frames, 3 x 4 views).
Their weights: hf://OpenGVLab/VideoMamba/videomamba_m16_ssv2_f16_res224.pth
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .video_mamba_middle_ssv2 import *
    from .._base_.datasets.ssv2_video_mamba_f16 import *

model.encoders.video.num_frames = 16
train_dataloader.batch_size = 16  # of each of 16 GPUs
auto_scale_lr.base_batch_size = 256
optim_wrapper.optimizer.lr = 8e-4  # base 4e-4
