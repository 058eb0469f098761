"""Both encoders from scratch and one Mamba block that fuses them; ``mix`` is open.

The skeleton's ``arch`` follows the video's.
"""

from mmengine.config import read_base

from mmfusion.models import ConvStem, CrossEntropyLoss

with read_base():
    from .cls_mix_nano import *

model.encoders.video.update(
    num_frames=16,
    init_std=None,
    summary="mean",
    stem=dict(type=ConvStem, inputs=["motion"]),
    drop_path_rate=0.1,
    init_cfg=None,
)
model.encoders.skeleton.update(
    arch=None,
    num_frames=32,
    num_hands=None,
    num_joints=None,
    stem="motion",
    with_motion=False,  # the stem has it
    readout="pool",
    votes=["scan", "stem", "dd_net"],
    drop_path_rate=0.1,
    init_cfg=None,
)
model.neck.embed_dims = None
model.heads.action.update(
    num_classes=None,
    in_dims=None,
    drop_rate=0.1,
    init_std=0.15,
    loss=dict(type=CrossEntropyLoss, label_smoothing=0.1),
)
