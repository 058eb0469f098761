"""VideoMamba Tiny, fine-tuned on Kinetics-400.

    python tools/train.py configs/recognition/video_mamba_tiny_k400.py

The authors: top-1 76.9 (8 frames, 3 x 4 views).
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.kinetics400_video_mamba import *
    from .._base_.default_runtime import *
    from .._base_.models.video_mamba_fine_tune import *
    from .._base_.schedules.video_mamba_30e import *

model.encoders.video.update(
    drop_path_rate=0.1,
    init_cfg=dict(
        type="Pretrained",
        checkpoint="hf://OpenGVLab/VideoMamba/videomamba_t16_in1k_res224.pth",
    ),
)
model.heads.action.num_classes = 400
train_pipeline[2].transforms[0].update(magnitude=5, num_ops=2, magnitude_std=0.25)
train_dataloader.dataset.pipeline = train_pipeline
optim_wrapper.optimizer.update(lr=8e-4, weight_decay=0.1)  # base 2e-4
train_cfg.max_epochs = 70
param_scheduler[0].start_factor = 1 / 200
param_scheduler[1].update(eta_min_ratio=1 / 200, end=70, T_max=65)
