"""The probe on VideoMAE-B's kept tokens, on clips of one's own.

    python tools/features.py configs/features/videomae_base_tokens_custom.py \\
        --out work_dirs/features/videomae_base --dtype fp16
    python tools/train.py configs/features/videomae_base_tokens_custom.py

No paper has this data set. Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

with read_base():
    from ..pretrained.videomae_base_probe_custom import *

# nothing at random: a clip has one set of tokens
train_dataloader.dataset.pipeline = val_dataloader.dataset.pipeline
features = dict(video="work_dirs/features/videomae_base")
