"""Layers that several models share."""

from mmfusion.models.layers.mamba import (
    MambaBlock,
    MambaMixer,
    build_blocks,
    forward_blocks,
    init_dt_proj,
    init_vision_mamba,
    new_A_log,
)

__all__ = [
    "MambaBlock",
    "MambaMixer",
    "build_blocks",
    "forward_blocks",
    "init_dt_proj",
    "init_vision_mamba",
    "new_A_log",
]
