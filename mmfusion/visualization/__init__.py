"""Pictures to look at: hands on frames, a clip as a video, what a model says of it."""

from mmfusion.visualization.clip_video import render_prediction_clip, write_clip_video
from mmfusion.visualization.hands import draw_hands, draw_paths
from mmfusion.visualization.overlay import Overlay, Story, clock, window_turns
from mmfusion.visualization.wandb_backend import WandbBackend

__all__ = [
    "Overlay",
    "Story",
    "WandbBackend",
    "clock",
    "draw_hands",
    "draw_paths",
    "render_prediction_clip",
    "window_turns",
    "write_clip_video",
]
