"""MeMViT-16, EPIC-KITCHENS-100: the action's 16 frames, and 4 clips before it.

    python tools/train.py configs/systems/memvit_16_ek100.py

The authors published neither weights nor a recipe for this data: weights are theirs of
Kinetics-400, the schedule is AVT's. Paper: configs/systems/README.md.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import SampleClipsBefore

with read_base():
    from .._base_.datasets.ek100_video import *
    from .._base_.default_runtime import *
    from .._base_.models.memvit import *
    from .._base_.schedules.avt_50e import *

_clips = dict(type=SampleClipsBefore, num_frames=dict(video=80), num_clips=5)
_train_frames[0] = dict(_clips, mode="random")
_val_frames[0] = dict(_clips, mode="uniform")
train_pipeline = [*_train_frames, _pack]
val_pipeline = [*_val_frames, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
model.encoders.video.init_cfg = dict(
    type="Pretrained",
    checkpoint="checkpoints/MeMViT_16L_16x4_K400.pyth",
    fresh=["blocks.*.attn.*compress_*", "blocks.*.attn.rel_pos_mem_*"],
)
optim_wrapper.optimizer.lr = 3.2e-3
auto_scale_lr.base_batch_size = 96
