"""Both causal encoders and an MLP, nano, on TinyEgo.

    python tools/train.py configs/streams/causal_fusion_nano_tinyego.py

No paper has this protocol. Ours: configs/streams/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_rates import *
    from .._base_.cpu_runtime import *
    from .._base_.models.causal_fusion_nano import *
    from .._base_.schedules.adamw_nano_stage2 import *

model.encoders.video.init_cfg.checkpoint = (
    "work_dirs/causal_video_nano_tinyego/best.pth"
)
model.encoders.skeleton.init_cfg.checkpoint = (
    "work_dirs/causal_skeleton_nano_tinyego/best.pth"
)
optim_wrapper.paramwise_cfg.custom_keys["readout.logit"] = dict(decay_mult=0.0)
