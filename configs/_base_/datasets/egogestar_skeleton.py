"""EgoGestAR's first fold, hands alone."""

from mmengine.config import read_base

with read_base():
    from .custom_skeleton import *
    from .egogestar_files import *

train_dataloader.dataset.update(_files)
