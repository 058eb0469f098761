"""Video only, nano: a window that reaches 1 s into the action: what a gap hides.

    python tools/train.py configs/mambavl/video_only_nano_tinyego.py
    python tools/train.py configs/mambavl/video_only_nano_tinyego_no_gap.py

No anticipation, and every number's key says so (tau_a=-1s). Ours:
configs/mambavl/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .video_only_nano_tinyego_anticipation import *

_train_frames[0].update(tau_a=-1.0, allow_action=True)
_val_frames[0].update(tau_a=-1.0, allow_action=True)
train_pipeline = [*_train_frames, _pack]
val_pipeline = [*_val_frames, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
