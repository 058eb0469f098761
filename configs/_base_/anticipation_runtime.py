"""``default_runtime`` for anticipation: the log says what is observed."""

from mmengine.config import read_base

from mmfusion.engine import ObservedWindowHook

with read_base():
    from .default_runtime import *

default_hooks.observed = dict(type=ObservedWindowHook)
default_hooks.checkpoint.save_best = "action/recall5"
