"""VideoMamba Tiny, fine-tuned on Something-Something V2.

    python tools/train.py configs/recognition/video_mamba_tiny_ssv2.py

The authors: top-1 65.1 (8 frames, 3 x 4 views).
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ssv2_video_mamba import *
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
train_pipeline[2].transforms[0].update(magnitude=5, num_ops=2, magnitude_std=0.25)
train_dataloader.dataset.pipeline = train_pipeline
optim_wrapper.optimizer.update(lr=1.6e-3, weight_decay=0.1)  # base 4e-4
train_cfg.max_epochs = 35
param_scheduler[1].update(end=35, T_max=30)
