"""Video backbones: clips in, token features out."""

from mmfusion.models.backbones.mmaction_backbone import MMActionBackbone
from mmfusion.models.backbones.video_mamba import VideoMamba

__all__ = ["MMActionBackbone", "VideoMamba"]
