"""Pictures to look at: hands on frames, a clip as a video."""

from mmfusion.visualization.clip_video import render_prediction_clip, write_clip_video
from mmfusion.visualization.hands import draw_hands

__all__ = ["draw_hands", "render_prediction_clip", "write_clip_video"]
