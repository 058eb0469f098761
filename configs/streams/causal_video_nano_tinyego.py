"""CausalVideoMamba, RGB only, nano, on TinyEgo.

    python tools/train.py configs/streams/causal_video_nano_tinyego.py

No paper has this protocol. Ours: configs/streams/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_rates_video import *
    from .._base_.cpu_runtime import *
    from .._base_.models.causal_video_nano import *
    from .._base_.schedules.adamw_nano import *

optim_wrapper.paramwise_cfg.custom_keys["readout.logit"] = dict(decay_mult=0.0)
