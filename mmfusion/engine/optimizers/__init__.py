"""The optimizer wrapper and its constructor."""

from mmfusion.engine.optimizers.fusion_optim_wrapper import FusionOptimWrapper
from mmfusion.engine.optimizers.grouped_constructor import (
    GroupedOptimWrapperConstructor,
)
from mmfusion.engine.optimizers.layer_decay import LayerDecay

__all__ = ["FusionOptimWrapper", "GroupedOptimWrapperConstructor", "LayerDecay"]
