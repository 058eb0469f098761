"""CLS mix, average, nano, on TinyEgo: both streams from scratch, balanced by AGM.

    python tools/train.py configs/streams/agm_average_nano_tinyego.py

No paper has this data set. Ours: configs/streams/README.md.
"""

from mmengine.config import read_base

from mmfusion.engine import BalanceStreamsHook

with read_base():
    from .scratch_average_nano_tinyego import *

custom_hooks.append(dict(type=BalanceStreamsHook, method="agm", alpha=0.5))
