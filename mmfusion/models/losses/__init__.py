"""Losses."""

from mmfusion.models.losses.cross_entropy_loss import CrossEntropyLoss

__all__ = ["CrossEntropyLoss"]
