"""Pictures to look at: projection, hands on frames, a clip as a video."""

from mmfusion.datasets.camera import project

__all__ = ["project"]
