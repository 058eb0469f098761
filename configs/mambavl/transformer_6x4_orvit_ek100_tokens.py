"""A Transformer of 6 blocks and 4 heads on all tokens, ORViT, EPIC-KITCHENS-100.

    python tools/train.py configs/mambavl/transformer_6x4_orvit_ek100_tokens.py

Not in paper B, whose Transformers read four tokens: what MambaVL is fairly compared
with.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.models import TransformerFusion

with read_base():
    from .._base_.datasets.ek100_boxes import *
    from .._base_.default_runtime import *
    from .._base_.models.mambavl_orvit import *
    from .._base_.schedules.mambavl_100e import *

model.neck = dict(
    type=TransformerFusion,
    embed_dims=768,
    streams=model.neck.streams,
    depth=6,
    num_heads=4,
    inputs="tokens",
)
