"""mmfusion: actions from video, hand skeletons and text, by state space models."""

__version__ = "0.1.0"
__all__ = ["__version__"]
