"""Models: encoders, fusion necks, heads, losses and the recognizer."""

from mmfusion.models.backbones import (
    CLIPTimeSformer,
    CLIPViT,
    MMActionBackbone,
    Motionformer,
    ORViT,
    VideoMamba,
)
from mmfusion.models.heads import AnswerHead, ClassificationHead
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
from mmfusion.models.recognizers import (
    BatchMix,
    MultiModalPreprocessor,
    MultiModalRecognizer,
)
from mmfusion.models.skeleton_encoders import MMActionSkeleton, SkeletonMamba
from mmfusion.models.text_encoders import HashedWords, TextEmbedder, TextEncoder

__all__ = [
    "AnswerHead",
    "AverageMix",
    "BatchMix",
    "CLIPTimeSformer",
    "CLIPViT",
    "CLSMixFusion",
    "ClassificationHead",
    "ContextMix",
    "CrossEntropyLoss",
    "HashedWords",
    "MLPFusion",
    "MMActionBackbone",
    "MMActionSkeleton",
    "Motionformer",
    "MultiModalPreprocessor",
    "MultiModalRecognizer",
    "NaiveMix",
    "ORViT",
    "SharedSSMFusion",
    "SkeletonMamba",
    "TextEmbedder",
    "TextEncoder",
    "TransformerFusion",
    "VideoMamba",
    "WeightedMix",
]
