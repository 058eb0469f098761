"""MeMViT, nano, from scratch: what comes next in TinyEgo's kitchen, 1 s ahead.

    python tools/train.py configs/systems/memvit_nano_tinyego_anticipation.py

Three clips of 8 frames in 4.8 s. No paper has this data set.
Ours: configs/systems/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_ek100_anticipation_video import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.memvit import *
    from .._base_.schedules.mambavl_nano_anticipation import *

_window.update(num_frames=dict(video=24), num_clips=3, tau_o=4.8)
_train_frames[0] = dict(_window, mode="random", drop="empty")
_val_frames[0] = dict(_window, mode="uniform")
train_pipeline = [*_train_frames, _pack]
val_pipeline = [*_val_frames, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
val_evaluator = [val_evaluator[0], val_evaluator[2]]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
env_cfg.num_threads = 1
model.encoders.video.update(
    arch="nano", img_size=64, num_frames=8, num_clips=3, drop_path_rate=0.0
)
model.heads.verb.update(num_classes=6, in_dims=128)
model.heads.noun.update(num_classes=12, in_dims=128)
