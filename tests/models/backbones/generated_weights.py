"""Weights and clips made by rule, so that the authors' code can be given the same."""

import numpy as np
import torch
from torch import Tensor, nn


def fill_by_rule(module: nn.Module, scale: float = 0.1) -> None:
    """Every tensor drawn by a generator seeded with its name; norms about one."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            value.copy_(drawn(name, tuple(value.shape)) * scale)
            if value.dim() == 1 and name.endswith("weight"):
                value.add_(1)  # a norm


def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers of that name, float32."""
    rng = np.random.default_rng(list(name.encode()))
    return torch.from_numpy(rng.standard_normal(shape, np.float32))
