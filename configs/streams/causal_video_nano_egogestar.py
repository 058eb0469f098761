"""CausalVideoMamba, RGB only, nano, on EgoGestAR.

    python tools/train.py configs/streams/causal_video_nano_egogestar.py

No paper has this protocol. Ours: configs/streams/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import CrossEntropyLoss

with read_base():
    from .._base_.datasets.egogestar_rates_video import *
    from .._base_.custom_runtime import *
    from .._base_.models.causal_video_nano import *
    from .._base_.schedules.adamw_custom import *

model.encoders.video.inputs = ["motion"]
model.encoders.video.drop_path_rate = 0.1
model.heads.action.update(
    num_classes=None,
    drop_rate=0.1,
    loss=dict(type=CrossEntropyLoss, label_smoothing=0.1),
)
train_cfg.max_epochs = 30
optim_wrapper.paramwise_cfg.custom_keys["readout.logit"] = dict(decay_mult=0.0)
