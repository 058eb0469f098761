"""Video backbones: clips in, token features out."""

from mmfusion.models.backbones.clip_timesformer import CLIPTimeSformer
from mmfusion.models.backbones.clip_vit import CLIPViT
from mmfusion.models.backbones.mmaction_backbone import MMActionBackbone
from mmfusion.models.backbones.motionformer import Motionformer
from mmfusion.models.backbones.orvit import ORViT
from mmfusion.models.backbones.video_mamba import VideoMamba

__all__ = [
    "CLIPTimeSformer",
    "CLIPViT",
    "MMActionBackbone",
    "Motionformer",
    "ORViT",
    "VideoMamba",
]
