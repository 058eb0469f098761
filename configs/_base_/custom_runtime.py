"""``cpu_runtime`` for sets so small that validation chooses by luck.

On a handful of clips many epochs are equal, and an early one may be the best of many by
chance: ``best.pth`` is chosen from the last third of them, where the rate is low and
the weights are settled, and of equal ones it is the last.
"""

from mmengine.config import read_base

with read_base():
    from .cpu_runtime import *

default_hooks.checkpoint.update(rule="greater_or_equal", best_from=0.67)
