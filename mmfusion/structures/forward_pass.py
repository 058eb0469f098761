"""Tensors that one forward of a recognizer makes on its way to the logits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from mmfusion.structures.action_data_sample import ActionDataSample
from mmfusion.structures.foreseen import Foreseen
from mmfusion.structures.token_features import TokenFeatures


@dataclass(frozen=True)
class ForwardPass:
    """Tensors of one forward, for losses beside those of the heads.

    Attributes:
        inputs: the batch after the preprocessor, (b, v, ...) by stream, and
            ``<stream>_mask`` where there is one; streams that no encoder reads, too.
        feats: features by stream as the encoders gave them, tokens (b v, l, d), or
            (b v q, l, d) of a stream with q questions a clip.
        fused: vectors that the heads read, (b v, q, d); q = 1 without questions. With
            a vector at every moment (b v, 1, t, d).
        logits: (b v, k), or at every moment (b v, t, k), by task.
        views: v; the views of a clip are rows one after the other.
        samples: b data samples, with their labels.
        foreseen: of a neck that anticipates, (b v, t, d); None of another.
        past_logits: (b v, t, k) by task, what the heads say of ``foreseen.past``.
    """

    inputs: Mapping[str, Tensor]
    feats: Mapping[str, TokenFeatures]
    fused: Tensor
    logits: Mapping[str, Tensor]
    views: int
    samples: Sequence[ActionDataSample]
    foreseen: Foreseen | None = None
    past_logits: Mapping[str, Tensor] = field(default_factory=dict)
