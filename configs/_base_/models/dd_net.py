"""DD-Net's lite model (arXiv 1907.09658) on 32 frames of whatever skeletons there are.

The dropout of its two dense layers is in the encoder; the head is its last layer.
"""

from mmengine.config import read_base

from mmfusion.models import DDNet

with read_base():
    from .custom_skeleton import *

model.encoders.skeleton = dict(
    type=DDNet, embed_dims=128, num_frames=32, num_hands=None, num_joints=None
)
model.heads.action.update(drop_rate=0.0)
