"""MambaVL nano, fused by one scan of both streams (ViM), informative questions.

    python tools/train.py configs/mambavl/cross_modal_scan_nano_tinyego_informative.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import CrossModalScanFusion

with read_base():
    from .mambavl_nano_tinyego_informative import *

model.neck = dict(
    type=CrossModalScanFusion,
    embed_dims=64,
    streams=model.neck.streams,
    num_blocks=2,
)
