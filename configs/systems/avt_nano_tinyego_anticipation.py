"""AVT, nano, from scratch: what comes next in TinyEgo's kitchen, 1 s ahead.

    python tools/train.py configs/systems/avt_nano_tinyego_anticipation.py

No paper has this data set. Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import LabelObserved
from mmfusion.models import ClassificationHead

with read_base():
    from .._base_.datasets.tinyego_ek100_anticipation_video import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.avt_base import *
    from .._base_.schedules.mambavl_nano_anticipation import *

_window.update(num_frames=dict(video=4), tau_o=4.0)
_train_frames[0] = dict(_window, mode="random", drop="empty")
_val_frames[0] = dict(_window, mode="uniform")
train_pipeline = [*_train_frames, dict(type=LabelObserved), _pack]
val_pipeline = [*_val_frames, _pack]
train_dataloader.dataset.update(pipeline=train_pipeline, past_seconds=6.0)
val_dataloader.dataset.pipeline = val_pipeline
val_evaluator = [val_evaluator[0], val_evaluator[2]]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
env_cfg.num_threads = 1
model.encoders.video.update(arch="nano", num_frames=4, img_size=64)
model.neck.update(in_dims=64, embed_dims=64, depth=2)
_head = dict(type=ClassificationHead, in_dims=64, drop_rate=0.2, init_std=0.15)
model.heads = dict(verb=dict(_head, num_classes=6), noun=dict(_head, num_classes=12))
