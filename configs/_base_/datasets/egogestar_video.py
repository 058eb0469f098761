"""EgoGestAR's first fold, RGB alone."""

from mmengine.config import read_base

with read_base():
    from .custom_video import *

_files = dict(
    ann_file="fold0.json",
    data_root="data/egogestar",
    made_by="python tools/data/egogestar/prepare.py --root data/EgoGestAR"
    " --out {data_root}",
)
train_dataloader.dataset.update(_files)
