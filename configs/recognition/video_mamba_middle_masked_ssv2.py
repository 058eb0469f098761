"""VideoMamba Middle after masked pretraining, fine-tuned on Something-Something V2.

    python tools/train.py configs/recognition/video_mamba_middle_masked_ssv2.py

The authors: top-1 70.2 (8 frames, 3 x 4 views).
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ssv2_video_mamba import *
    from .._base_.default_runtime import *
    from .._base_.models.video_mamba_fine_tune import *
    from .._base_.schedules.video_mamba_30e import *

model.encoders.video.update(
    arch="middle",
    drop_path_rate=0.4,
    init_cfg=dict(
        type="Pretrained",
        checkpoint="hf://OpenGVLab/VideoMamba/videomamba_m16_ssv2_mask_pt_f8_res224.pth",
        fresh=["norm_f."],  # as the authors do
    ),
)
model.heads.action.in_dims = 576
train_dataloader.batch_size = 32  # of each of 16 GPUs
optim_wrapper.optimizer.update(lr=4e-4, weight_decay=0.05)  # base 1e-4
optim_wrapper.paramwise_cfg.layer_decay.rate = 0.8
param_scheduler[0].start_factor = 1 / 100
param_scheduler[1].update(eta_min_ratio=1 / 100)
