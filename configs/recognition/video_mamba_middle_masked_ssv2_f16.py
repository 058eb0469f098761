"""VideoMamba Middle after masked pretraining, 16 frames, on Something-Something V2.

    python tools/train.py configs/recognition/video_mamba_middle_masked_ssv2_f16.py

The authors: top-1 71.0 (16 frames, 3 x 4 views).
Their weights: the zoo links those without masked pretraining instead.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .video_mamba_middle_masked_ssv2 import *
    from .._base_.datasets.ssv2_video_mamba_f16 import *

model.encoders.video.num_frames = 16
train_dataloader.batch_size = 16  # of each of 16 GPUs
auto_scale_lr.base_batch_size = 256
optim_wrapper.optimizer.lr = 2e-4  # base 1e-4
