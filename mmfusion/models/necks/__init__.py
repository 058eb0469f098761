"""Fusion necks: several streams in, one vector out."""

from mmfusion.models.necks.cls_mix import (
    AverageMix,
    ContextMix,
    NaiveMix,
    WeightedMix,
)
from mmfusion.models.necks.cls_mix_fusion import CLSMixFusion

__all__ = ["AverageMix", "CLSMixFusion", "ContextMix", "NaiveMix", "WeightedMix"]
