"""MMAction2's STGCN, a quarter as wide, over each hand's bones; the graph is open."""

from mmengine.config import read_base

from mmfusion.models import MMActionSkeleton

with read_base():
    from .custom_skeleton import *

model.encoders.skeleton = dict(
    type=MMActionSkeleton,
    embed_dims=64,
    num_hands=2,
    backbone=dict(
        type="mmaction.STGCN",
        graph_cfg=dict(layout=None, mode="stgcn_spatial"),
        base_channels=16,
    ),
)
