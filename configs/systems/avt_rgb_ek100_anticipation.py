"""AVT-h on RULSTM's RGB features, EPIC-KITCHENS-100, 1 s ahead, from 10 s.

    python tools/train.py configs/systems/avt_rgb_ek100_anticipation.py

Paper: validation, class-mean recall@5 of actions 13.6 (AVT's README, b082c99: TSN,
RGB). Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import LabelObserved, PackInputs
from mmfusion.models import FeatureEncoder

with read_base():
    from .._base_.datasets.ek100_anticipation_rulstm import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.avt_base import *
    from .._base_.schedules.avt_50e import *

_window.num_frames = dict(rgb=10)
_past = dict(type=LabelObserved, stream="rgb")
_pack = dict(type=PackInputs, streams=("rgb",))
train_pipeline = [dict(_window, drop="empty"), _past, _rgb, _pack]
val_pipeline = [_window, _rgb, _pack]
train_dataloader.dataset.update(pipeline=train_pipeline, past_seconds=12.0)
val_dataloader.dataset.pipeline = val_pipeline
val_evaluator = val_evaluator[:1]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
model.data_preprocessor = None
model.encoders = dict(rgb=dict(type=FeatureEncoder, in_dims=1024))
model.neck.update(in_dims=1024, stream="rgb")
model.heads.action.in_dims = 1024
optim_wrapper.optimizer.lr = 2e-3  # 1e-3 a process of 64 clips, 2 processes
auto_scale_lr.base_batch_size = 128
