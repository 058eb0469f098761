"""An annotation of one's own videos and landmarks."""

from mmfusion.datasets.custom.data import (
    ANN_FILE,
    CustomData,
    CustomSource,
    config_hint,
    write,
)
from mmfusion.datasets.custom.prepare import gather, prepare

__all__ = [
    "ANN_FILE",
    "CustomData",
    "CustomSource",
    "config_hint",
    "gather",
    "prepare",
    "write",
]
