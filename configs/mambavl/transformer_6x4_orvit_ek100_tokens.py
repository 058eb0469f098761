"""A Transformer of 6 blocks and 4 heads on all tokens, ORViT, EPIC-KITCHENS-100.

    python tools/train.py configs/mambavl/transformer_6x4_orvit_ek100_tokens.py

Not in paper B, whose Transformers read four tokens: what MambaVL is fairly compared
with.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.models import TransformerFusion

with read_base():
    from .mambavl_orvit_ek100 import *

model.neck = dict(
    type=TransformerFusion,
    embed_dims=768,
    streams=model.neck.streams,
    depth=6,
    num_heads=4,
    inputs="tokens",
)
