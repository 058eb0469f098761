"""Layers that several models share."""

from mmfusion.models.layers.clips import check_clip, run_block
from mmfusion.models.layers.mamba import (
    MambaBlock,
    MambaMixer,
    MixerState,
    build_blocks,
    forward_blocks,
    init_dt_proj,
    init_vision_mamba,
    new_A_log,
    step_blocks,
)

__all__ = [
    "check_clip",
    "run_block",
    "MambaBlock",
    "MambaMixer",
    "MixerState",
    "build_blocks",
    "forward_blocks",
    "init_dt_proj",
    "init_vision_mamba",
    "new_A_log",
    "step_blocks",
]
