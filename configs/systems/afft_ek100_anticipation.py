"""AFFT on RULSTM's three features, EPIC-KITCHENS-100, 1 s ahead, from 18 s.

    python tools/train.py configs/systems/afft_ek100_anticipation.py

Paper: validation, class-mean recall@5 of actions 16.4 (AFFT's README, 7115751: R-TSN,
O, F). Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import LabelObserved

with read_base():
    from .._base_.datasets.ek100_anticipation_rulstm import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.afft import *
    from .._base_.schedules.avt_50e import *

_window.update(num_frames=dict(rgb=18, obj=18, flow=18), tau_o=18.0)
_past = dict(type=LabelObserved, stream="rgb")
train_pipeline = [dict(_window, drop="empty"), _past, _rgb, _flow, _obj, _pack]
val_pipeline = [_window, _rgb, _flow, _obj, _pack]
train_dataloader.update(batch_size=32)
train_dataloader.dataset.update(pipeline=train_pipeline, past_seconds=20.0)
val_dataloader.dataset.pipeline = val_pipeline
val_evaluator = val_evaluator[:1]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
param_scheduler[0].start_factor = 0.01
param_scheduler[1].eta_min_ratio = 1e-3
auto_scale_lr.base_batch_size = 32
