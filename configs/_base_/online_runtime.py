"""``cpu_runtime`` for online detection, whose number is the precision of frames."""

from mmengine.config import read_base

with read_base():
    from .cpu_runtime import *

default_hooks.checkpoint.save_best = "verb/frame_mAP"
