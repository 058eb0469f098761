"""Models: encoders, fusion necks, heads, losses and the recognizer."""

from mmfusion.models.backbones.cached_encoder import CachedEncoder
from mmfusion.models.backbones.causal_video_mamba import CausalVideoMamba
from mmfusion.models.backbones.clip_timesformer import CLIPTimeSformer
from mmfusion.models.backbones.clip_vit import CLIPViT
from mmfusion.models.backbones.conv_stem import ConvStem
from mmfusion.models.backbones.feature_encoder import FeatureEncoder
from mmfusion.models.backbones.frame_vit import FrameViT
from mmfusion.models.backbones.hf_video_encoder import HFVideoEncoder
from mmfusion.models.backbones.inavit import InAViT
from mmfusion.models.backbones.memvit import MeMViT
from mmfusion.models.backbones.mmaction_backbone import MMActionBackbone
from mmfusion.models.backbones.motionformer import Motionformer
from mmfusion.models.backbones.omnivore import Omnivore
from mmfusion.models.backbones.orvit import ORViT
from mmfusion.models.backbones.video_mamba import VideoMamba
from mmfusion.models.backbones.vjepa21 import VJEPA21
from mmfusion.models.heads.answer_head import AnswerHead
from mmfusion.models.heads.classification_head import ClassificationHead
from mmfusion.models.layers.tuning import LastBlocks, LoRA
from mmfusion.models.losses.anticipation_losses import (
    FeatureRegression,
    PastClassification,
)
from mmfusion.models.losses.cross_entropy_loss import CrossEntropyLoss
from mmfusion.models.losses.distillation_losses import (
    FeatureDistillation,
    LogitsDistillation,
    RelationDistillation,
)
from mmfusion.models.losses.reconstruction_loss import ReconstructionLoss
from mmfusion.models.necks.attentive_probe import AttentiveProbe
from mmfusion.models.necks.cls_mix import (
    AverageMix,
    ContextMix,
    GatedMix,
    NaiveMix,
    WeightedMix,
)
from mmfusion.models.necks.cls_mix_fusion import CLSMixFusion
from mmfusion.models.necks.coupled_mamba_fusion import CoupledMambaFusion
from mmfusion.models.necks.cross_modal_scan_fusion import CrossModalScanFusion
from mmfusion.models.necks.every_moment import EveryMoment
from mmfusion.models.necks.future_predictor import FuturePredictor
from mmfusion.models.necks.mlp_fusion import MLPFusion
from mmfusion.models.necks.sa_fuser import SAFuser
from mmfusion.models.necks.shared_ssm_fusion import SharedSSMFusion
from mmfusion.models.necks.stand_in_tokens import StandInTokens
from mmfusion.models.necks.transformer_fusion import TransformerFusion
from mmfusion.models.recognizers.batch_mix import BatchMix
from mmfusion.models.recognizers.distillation import Distillation
from mmfusion.models.recognizers.multimodal_preprocessor import MultiModalPreprocessor
from mmfusion.models.recognizers.multimodal_recognizer import MultiModalRecognizer
from mmfusion.models.skeleton_encoders.causal_skeleton_mamba import (
    CausalSkeletonMamba,
)
from mmfusion.models.skeleton_encoders.dd_net import DDNet
from mmfusion.models.skeleton_encoders.mmaction_skeleton import MMActionSkeleton
from mmfusion.models.skeleton_encoders.skeleton_mamba import SkeletonMamba
from mmfusion.models.text_encoders.text_embedder import HashedWords, TextEmbedder
from mmfusion.models.text_encoders.text_encoder import TextEncoder

__all__ = [
    "AnswerHead",
    "AttentiveProbe",
    "AverageMix",
    "BatchMix",
    "CLIPTimeSformer",
    "CLIPViT",
    "CLSMixFusion",
    "CoupledMambaFusion",
    "CrossModalScanFusion",
    "CachedEncoder",
    "CausalSkeletonMamba",
    "CausalVideoMamba",
    "ClassificationHead",
    "ConvStem",
    "ContextMix",
    "CrossEntropyLoss",
    "DDNet",
    "EveryMoment",
    "Distillation",
    "FeatureDistillation",
    "FeatureEncoder",
    "FeatureRegression",
    "FrameViT",
    "FuturePredictor",
    "GatedMix",
    "HFVideoEncoder",
    "HashedWords",
    "InAViT",
    "LastBlocks",
    "LoRA",
    "LogitsDistillation",
    "MLPFusion",
    "MeMViT",
    "MMActionBackbone",
    "MMActionSkeleton",
    "Motionformer",
    "MultiModalPreprocessor",
    "MultiModalRecognizer",
    "NaiveMix",
    "ORViT",
    "Omnivore",
    "PastClassification",
    "ReconstructionLoss",
    "RelationDistillation",
    "SAFuser",
    "SharedSSMFusion",
    "SkeletonMamba",
    "StandInTokens",
    "TextEmbedder",
    "TextEncoder",
    "TransformerFusion",
    "VJEPA21",
    "VideoMamba",
    "WeightedMix",
]
