"""Rows beside those of trained models: late fusion, linear models, their sum."""

from mmfusion.analysis.baselines.rows import BaselineRun, Baselines, baselines_of

__all__ = ["BaselineRun", "Baselines", "baselines_of"]
