"""The classification loss."""

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmfusion.registry import MODELS


@MODELS.register_module()
class CrossEntropyLoss(BaseModule):
    """Softmax cross entropy, the mean over the batch.

    Args:
        label_smoothing: share of the target spread over all classes, in [0, 1).
        loss_weight: factor of the result.
    """

    def __init__(self, label_smoothing: float = 0.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """(b, k) logits and (b,) int64 or (b, k) soft targets -> scalar."""
        loss = F.cross_entropy(
            logits.float(), target, label_smoothing=self.label_smoothing
        )
        return self.loss_weight * loss
