"""Our configs, each read once in a process, as reading takes 0.1 s."""

import copy
import functools
from pathlib import Path

from mmengine.config import Config

from mmfusion.engine.launch.config_check import load_config

ROOT = Path(__file__).parents[2] / "configs"

_read = functools.cache(load_config)


def load(name: str) -> Config:
    """A copy of its own of the config with that path below ``configs/``."""
    return copy.deepcopy(_read(ROOT / name))
