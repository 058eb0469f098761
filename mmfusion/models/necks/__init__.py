"""Fusion necks: several streams in, one vector out."""

from mmfusion.models.necks.cls_mix import (
    AverageMix,
    ContextMix,
    NaiveMix,
    WeightedMix,
)
from mmfusion.models.necks.cls_mix_fusion import CLSMixFusion
from mmfusion.models.necks.mlp_fusion import MLPFusion
from mmfusion.models.necks.shared_ssm_fusion import SharedSSMFusion
from mmfusion.models.necks.transformer_fusion import TransformerFusion

__all__ = [
    "AverageMix",
    "CLSMixFusion",
    "ContextMix",
    "MLPFusion",
    "NaiveMix",
    "SharedSSMFusion",
    "TransformerFusion",
    "WeightedMix",
]
