"""MambaVL nano with an MLP for its fusion, informative questions.

    python tools/train.py configs/mambavl/mlp_nano_tinyego_informative.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import MLPFusion

with read_base():
    from .mambavl_nano_tinyego_informative import *

model.neck = dict(type=MLPFusion, embed_dims=64, streams=model.neck.streams)
