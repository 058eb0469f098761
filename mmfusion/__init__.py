"""mmfusion: actions from video, hand skeletons and text, by state space models."""

from mmfusion.utils.mmengine_compat import mend_mmengine

mend_mmengine()

__version__ = "0.1.0"
__all__ = ["__version__"]
