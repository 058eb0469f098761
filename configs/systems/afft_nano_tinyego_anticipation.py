"""AFFT, nano, on features of TinyEgo's kitchen in RULSTM's layout, 1 s ahead.

    python tools/train.py configs/systems/afft_nano_tinyego_anticipation.py

No paper has this data set. Ours: configs/systems/README.md, which makes the features.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import LabelObserved
from mmfusion.models import ClassificationHead, FeatureEncoder

with read_base():
    from .._base_.datasets.tinyego_ek100_anticipation_features import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.afft import *
    from .._base_.schedules.mambavl_nano_anticipation import *

_window.update(num_frames=dict(rgb=6), tau_o=3.0)  # into the action before
_past = dict(type=LabelObserved, stream="rgb")
train_pipeline = [dict(_window, drop="empty"), _past, _load, _pack]
val_pipeline = [_window, _load, _pack]
train_dataloader.dataset.update(pipeline=train_pipeline, past_seconds=4.0)
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
val_evaluator = [val_evaluator[0], val_evaluator[2]]
test_evaluator = val_evaluator
env_cfg.num_threads = 1
model.encoders = dict(rgb=dict(type=FeatureEncoder, in_dims=64))
model.neck.update(in_dims=64, embed_dims=128, depth=2, init_std=0.1)
model.neck.fuser.update(embed_dims=64, depth=2, init_std=0.125)
model.neck.fuser.streams = dict(rgb=64)
_head = dict(type=ClassificationHead, in_dims=64, drop_rate=0.2, init_std=0.15)
model.heads = dict(verb=dict(_head, num_classes=6), noun=dict(_head, num_classes=12))
model.auxiliary.past.label_smoothing = 0.0
