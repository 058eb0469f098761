"""CausalSkeletonMamba, hands only, nano, on EgoGestAR.

    python tools/train.py configs/streams/causal_skeleton_nano_egogestar.py

No paper has this protocol. Ours: configs/streams/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import CrossEntropyLoss

with read_base():
    from .._base_.datasets.egogestar_rates_skeleton import *
    from .._base_.custom_runtime import *
    from .._base_.models.causal_skeleton_nano import *
    from .._base_.schedules.adamw_custom_skeleton import *

model.encoders.skeleton.update(num_joints=21, num_hands=1, memory=64)
model.encoders.skeleton.drop_path_rate = 0.1
model.heads.action.update(
    num_classes=None,
    drop_rate=0.1,
    loss=dict(type=CrossEntropyLoss, label_smoothing=0.1),
)
train_cfg.max_epochs = 25
optim_wrapper.paramwise_cfg.custom_keys["readout.logit"] = dict(decay_mult=0.0)
