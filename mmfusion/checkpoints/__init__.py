"""Published weights: where they are, what they hold, how they fit our models."""

from mmfusion.checkpoints.families import FAMILIES, Family
from mmfusion.checkpoints.fit import FitReport, fit_published
from mmfusion.checkpoints.sources import fetch, unwrap

__all__ = ["FAMILIES", "Family", "FitReport", "fetch", "fit_published", "unwrap"]
