"""Skeleton encoders: joints in, token features out."""

from mmfusion.models.skeleton_encoders.mmaction_skeleton import MMActionSkeleton
from mmfusion.models.skeleton_encoders.skeleton_mamba import SkeletonMamba

__all__ = ["MMActionSkeleton", "SkeletonMamba"]
