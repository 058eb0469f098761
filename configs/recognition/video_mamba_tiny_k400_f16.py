"""VideoMamba Tiny, 16 frames, fine-tuned on Kinetics-400.

    python tools/train.py configs/recognition/video_mamba_tiny_k400_f16.py

The authors: top-1 78.1 (16 frames, 3 x 4 views).
Their weights: hf://OpenGVLab/VideoMamba/videomamba_t16_k400_f16_res224.pth
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .video_mamba_tiny_k400 import *
    from .._base_.datasets.kinetics400_video_mamba_f16 import *

model.encoders.video.num_frames = 16
_train_pipeline = train_dataloader.dataset.pipeline
_train_pipeline[2].transforms[0].update(magnitude=5, num_ops=2, magnitude_std=0.25)
