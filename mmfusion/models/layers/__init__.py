"""Layers that several models share."""

from mmfusion.models.layers.clips import check_clip, clip_features, run_block
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
from mmfusion.models.layers.mlp import Mlp, init_linear

__all__ = [
    "MambaBlock",
    "MambaMixer",
    "MixerState",
    "Mlp",
    "build_blocks",
    "check_clip",
    "clip_features",
    "forward_blocks",
    "init_dt_proj",
    "init_linear",
    "init_vision_mamba",
    "new_A_log",
    "run_block",
    "step_blocks",
]
