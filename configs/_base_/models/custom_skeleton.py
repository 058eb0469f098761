"""SkeletonMamba on 32 frames of whatever skeletons the annotation has."""

from mmengine.config import read_base

from mmfusion.models import CrossEntropyLoss

with read_base():
    from .skeleton_mamba_nano import *

model.encoders.skeleton.update(
    num_frames=32,
    num_hands=None,
    num_joints=None,
    stem="motion",
    with_motion=False,  # the stem has it
    readout="pool",
    votes=["scan", "stem", "dd_net"],
    drop_path_rate=0.1,
)
model.heads.action.update(
    num_classes=None,
    in_dims=None,
    drop_rate=0.1,
    init_std=0.15,
    loss=dict(type=CrossEntropyLoss, label_smoothing=0.1),
)
