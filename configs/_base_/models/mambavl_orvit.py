"""MambaVL with ORViT on 16 frames of 224 px and boxes (paper B, Tables 1, 3 and 4).

Colours are scaled to -1..1, as for Motionformer's weights; batches are not mixed, for
boxes have no mean.
"""

from mmengine.config import read_base

from mmfusion.models import ORViT

with read_base():
    from .mambavl_base import *

model.data_preprocessor.update(
    mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5), batch_mix=None
)
model.encoders.video = dict(
    type=ORViT,
    drop_path_rate=0.1,
    init_cfg=dict(
        type="Pretrained",
        checkpoint="checkpoints/k400_motionformer_224_16x4.pyth",
        ignore=["blocks.1.*", "blocks.6.*", "blocks.10.*"],  # ORViT's own parts
    ),
)
