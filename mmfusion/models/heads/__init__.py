"""Heads: the fused vector in, logits out."""

from mmfusion.models.heads.classification_head import ClassificationHead

__all__ = ["ClassificationHead"]
