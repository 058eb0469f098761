"""CLS mix, average, nano, on TinyEgo: streams are dropped, with ActionMAE's loss.

    python tools/train.py configs/streams/action_mae_average_nano_tinyego.py

No paper has this data set. Ours: configs/streams/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import ReconstructionLoss

with read_base():
    from .missing_average_nano_tinyego import *

model.auxiliary = dict(
    mae=dict(type=ReconstructionLoss, embed_dims=dict(video=64, skeleton=64))
)
