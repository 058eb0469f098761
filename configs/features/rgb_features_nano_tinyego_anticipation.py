"""Features of TinyEgo's kitchen in RULSTM's layout, and what comes 1 s later.

    python tools/train.py configs/mambavl/video_only_nano_tinyego.py
    python tools/train.py configs/mambavl/video_only_nano_tinyego_anticipation.py \\
        --work-dir work_dirs/cls --cfg-options model.neck=None
    python tools/features.py configs/mambavl/video_only_nano_tinyego_anticipation.py \\
        --cfg-options model.neck=None --checkpoint work_dirs/cls/best.pth \\
        --lmdb --rate 2 --out data/tinyego_ek100/features/rgb
    python tools/train.py configs/features/rgb_features_nano_tinyego_anticipation.py

No paper has this data set. Ours: configs/features/README.md.
"""

from mmengine.config import read_base

from mmfusion.models import FeatureEncoder, TransformerFusion

with read_base():
    from .._base_.datasets.tinyego_ek100_anticipation_features import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.mambavl_nano_video_only import *
    from .._base_.schedules.mambavl_nano_anticipation import *

env_cfg.num_threads = 1
model.encoders = dict(rgb=dict(type=FeatureEncoder, in_dims=64))
model.neck = dict(
    type=TransformerFusion,
    embed_dims=64,
    depth=2,
    num_heads=4,
    inputs="tokens",
    streams=dict(rgb=dict()),
)
