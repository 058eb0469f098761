"""Models: encoders, fusion necks, heads, losses and the recognizer."""

from mmfusion.models.backbones import MMActionBackbone, VideoMamba
from mmfusion.models.heads import ClassificationHead
from mmfusion.models.losses import CrossEntropyLoss
from mmfusion.models.necks import (
    AverageMix,
    CLSMixFusion,
    ContextMix,
    MLPFusion,
    NaiveMix,
    SharedSSMFusion,
    TransformerFusion,
    WeightedMix,
)
from mmfusion.models.pretrained import Pretrained
from mmfusion.models.recognizers import MultiModalPreprocessor, MultiModalRecognizer
from mmfusion.models.skeleton_encoders import MMActionSkeleton, SkeletonMamba

__all__ = [
    "AverageMix",
    "CLSMixFusion",
    "ClassificationHead",
    "ContextMix",
    "CrossEntropyLoss",
    "MLPFusion",
    "MMActionBackbone",
    "MMActionSkeleton",
    "MultiModalPreprocessor",
    "MultiModalRecognizer",
    "NaiveMix",
    "Pretrained",
    "SharedSSMFusion",
    "SkeletonMamba",
    "TransformerFusion",
    "VideoMamba",
    "WeightedMix",
]
