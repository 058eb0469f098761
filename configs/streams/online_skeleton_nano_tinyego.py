"""Online detection: what happens at every frame of TinyEgo's kitchen, hands only.

    python tools/train.py configs/streams/online_skeleton_nano_tinyego.py

No paper has this data set. Ours: verb frame_mAP 94.9, noun 8.1, seed 0;
configs/streams/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_ek100_online_skeleton import *
    from .._base_.online_runtime import *
    from .._base_.models.online_skeleton_nano import *
    from .._base_.schedules.adamw_nano import *

custom_hooks[0].monitor = "verb/frame_mAP"

optim_wrapper.paramwise_cfg.custom_keys["readout.logit"] = dict(decay_mult=0.0)
