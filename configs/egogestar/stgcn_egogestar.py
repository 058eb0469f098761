"""MMAction2's STGCN, hands only, a quarter as wide, on EgoGestAR.

    python tools/train.py configs/egogestar/stgcn_egogestar.py

No paper has this protocol. Ours, five folds by scene: configs/egogestar/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.custom_runtime import *
    from .._base_.datasets.egogestar_skeleton import *
    from .._base_.models.stgcn import *
    from .._base_.schedules.adamw_custom_skeleton import *
    from .._base_.models.mediapipe_graph import mediapipe_graph

model.encoders.skeleton.num_hands = 1
model.encoders.skeleton.backbone.graph_cfg.layout = mediapipe_graph
train_cfg.max_epochs = 40  # each takes five times as long as one of the others
