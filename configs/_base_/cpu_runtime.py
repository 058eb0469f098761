"""``default_runtime`` for nano models: one thread, so that two runs fit on two cores.

Their tensors are too small for more: a second thread costs more than it does, and much
more where another process wants the core.
"""

from mmengine.config import read_base

with read_base():
    from .default_runtime import *

env_cfg.num_threads = 1
