"""VideoMamba Middle, fine-tuned on Kinetics-400.

    python tools/train.py configs/recognition/video_mamba_middle_k400.py

The authors: top-1 80.6 (8 frames, 3 x 4 views).
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.kinetics400_video_mamba import *
    from .._base_.default_runtime import *
    from .._base_.models.video_mamba_fine_tune import *
    from .._base_.schedules.video_mamba_30e import *

model.encoders.video.update(
    arch="middle",
    drop_path_rate=0.8,
    init_cfg=dict(
        type="Pretrained",
        checkpoint="hf://OpenGVLab/VideoMamba/videomamba_m16_in1k_res224.pth",
    ),
)
model.heads.action.in_dims = 576
model.heads.action.num_classes = 400
train_dataloader.batch_size = 32  # of each of 16 GPUs
optim_wrapper.optimizer.update(lr=8e-4, weight_decay=0.05)  # base 2e-4
train_cfg.max_epochs = 50
param_scheduler[0].start_factor = 1 / 200
param_scheduler[1].update(eta_min_ratio=1 / 200, end=50, T_max=45)
