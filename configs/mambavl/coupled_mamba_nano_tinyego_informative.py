"""MambaVL nano, fused by Coupled Mamba, informative questions.

    python tools/train.py configs/mambavl/coupled_mamba_nano_tinyego_informative.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import CoupledMambaFusion

with read_base():
    from .mambavl_nano_tinyego_informative import *

model.neck = dict(
    type=CoupledMambaFusion,
    embed_dims=64,
    streams=model.neck.streams,
    num_layers=1,
)
