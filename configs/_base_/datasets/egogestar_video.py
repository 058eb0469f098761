"""EgoGestAR's first fold, RGB alone."""

from mmengine.config import read_base

with read_base():
    from .custom_video import *
    from .egogestar_files import *

train_dataloader.dataset.update(_files)
