"""An annotation of one's own videos and landmarks."""

from mmfusion.datasets.custom.prepare import (
    CustomData,
    CustomSource,
    gather,
    prepare,
    write,
)

__all__ = ["CustomData", "CustomSource", "gather", "prepare", "write"]
