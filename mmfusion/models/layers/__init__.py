"""Layers that several models share."""

from mmfusion.models.layers.causal import (
    FadingMean,
    State,
    hold_frames,
    keep_rows,
    mixer_states,
    named_mixers,
    pack_frames,
    take_frames,
)
from mmfusion.models.layers.clips import check_clip, clip_features, run_block
from mmfusion.models.layers.mamba import (
    MambaBlock,
    MambaMixer,
    MixerState,
    add_norm,
    build_blocks,
    forward_blocks,
    init_dt_proj,
    init_vision_mamba,
    new_A_log,
    step_blocks,
)
from mmfusion.models.layers.mamba2 import Mamba2Mixer, build_mixer, new_head_A_log
from mmfusion.models.layers.mlp import Mlp, init_linear

__all__ = [
    "FadingMean",
    "Mamba2Mixer",
    "MambaBlock",
    "MambaMixer",
    "MixerState",
    "Mlp",
    "State",
    "add_norm",
    "build_blocks",
    "build_mixer",
    "check_clip",
    "clip_features",
    "forward_blocks",
    "hold_frames",
    "init_dt_proj",
    "init_linear",
    "init_vision_mamba",
    "keep_rows",
    "mixer_states",
    "named_mixers",
    "new_A_log",
    "new_head_A_log",
    "pack_frames",
    "run_block",
    "step_blocks",
    "take_frames",
]
