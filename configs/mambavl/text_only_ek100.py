"""MambaVL's text side alone on EPIC-KITCHENS-100: what questions tell by themselves.

    python tools/train.py configs/mambavl/text_only_ek100.py

Not in paper B. With generic questions it can only learn how common classes are.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ek100_text import *
    from .._base_.default_runtime import *
    from .._base_.models.mambavl_base import *
    from .._base_.schedules.mambavl_100e import *

model.encoders.pop("video")
model.neck.streams.pop("video")
model.data_preprocessor.batch_mix = None
