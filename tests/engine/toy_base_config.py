"""The toy data and model under the base runtime and schedule, in pure Python style."""

from mmengine.config import read_base

with read_base():  # later files win
    from .toy_config import *  # noqa: F403, I001
    from ...configs._base_.default_runtime import *  # noqa: F403
    from ...configs._base_.schedules.adamw_50e import *  # noqa: F403

log_level = "WARNING"
