"""Vectors that an anticipating neck foresees, moment by moment."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Foreseen:
    """Observed moments of a clip, and after each what was foreseen for the next.

    Attributes:
        observed: (b, t, d), what the neck read, the oldest moment first.
        predicted: (b, t, d): at i the vector foreseen for moment i + 1; the last is
            that of the first moment which is not observed.
        mask: (b, t) bool, False for a moment without input; None where all have it.
    """

    observed: Tensor
    predicted: Tensor
    mask: Tensor | None = None

    @property
    def future(self) -> Tensor:
        """(b, d): the vector foreseen for what comes after the last moment."""
        return self.predicted[:, -1]

    @property
    def past(self) -> Tensor:
        """(b, t, d): the first moment as observed, each other as foreseen before it."""
        return torch.cat([self.observed[:, :1], self.predicted[:, :-1]], dim=1)
