"""Weights: where they are, what they hold, how they fit our models."""

from mmfusion.weights.files import fetch, load_checked, read_tensors
from mmfusion.weights.fit import FitReport, PublishedWeights, fit
from mmfusion.weights.pretrained import Pretrained

__all__ = [
    "FitReport",
    "Pretrained",
    "PublishedWeights",
    "fetch",
    "fit",
    "load_checked",
    "read_tensors",
]
