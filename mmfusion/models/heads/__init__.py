"""Heads: a fused vector in, logits of one task out."""

from mmfusion.models.heads.answer_head import AnswerHead
from mmfusion.models.heads.classification_head import ClassificationHead

__all__ = ["AnswerHead", "ClassificationHead"]
