"""MambaVL nano by Mamba-2: streams share one decay a head, informative questions.

    python tools/train.py configs/mambavl/mamba2_nano_tinyego_informative.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .mambavl_nano_tinyego_informative import *

model.neck.update(mixer="mamba2", head_dims=16, d_state=64)
optim_wrapper.paramwise_cfg.custom_keys["dt_bias"] = dict(decay_mult=0.0)
