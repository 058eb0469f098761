"""MambaVL nano, fused by a Transformer (6x4) on pooled tokens, informative questions.

    python tools/train.py configs/mambavl/transformer_nano_tinyego_informative.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import TransformerFusion

with read_base():
    from .mambavl_nano_tinyego_informative import *

model.neck = dict(
    type=TransformerFusion,
    embed_dims=64,
    streams=model.neck.streams,
    num_positions=192,
)
