"""A Transformer of 12 blocks and 12 heads on all tokens, ORViT, EPIC-KITCHENS-100.

    python tools/train.py configs/mambavl/transformer_12x12_orvit_ek100_tokens.py

Not in paper B, whose Transformers read four tokens: what MambaVL is fairly compared
with.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from .transformer_6x4_orvit_ek100_tokens import *

model.neck.update(depth=12, num_heads=12)
