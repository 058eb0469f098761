"""Published weights: where they are, what they hold, how they fit our models."""

from mmfusion.weights.families import FAMILIES, Family
from mmfusion.weights.fit import FitReport, fit_published
from mmfusion.weights.pretrained import Pretrained
from mmfusion.weights.sources import fetch, unwrap

__all__ = [
    "FAMILIES",
    "Family",
    "FitReport",
    "Pretrained",
    "fetch",
    "fit_published",
    "unwrap",
]
