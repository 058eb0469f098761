"""The four ways of paper A to start the mixed CLS token, and a fifth, which is ours.

Paper A: figure 2, equations 1 and 2.

Shapes: b clips, m streams, l tokens of all streams, d channels.
"""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.models.layers import MambaMixer
from mmfusion.registry import MODELS
from mmfusion.utils.errors import InputError


def mix_by_logits(cls: Tensor, logits: Tensor, present: Tensor | None) -> Tensor:
    """Equation 1, for any number of streams: weights are softmax(logits, 0).

    With two streams and one logit omega the weights are sigmoid(omega) and
    1 - sigmoid(omega). A stream that a sample lacks takes no part.

    Args:
        cls: (b, m, d). logits: (b, m - 1) or (m - 1,); the last stream's is 0.
        present: (b, m) bool or None.

    Returns:
        (b, d).
    """
    weights = stream_weights(logits, present)  # (b, m) or (m,)
    return (cls * weights.unsqueeze(-1)).sum(dim=1)  # (b, d)


def stream_weights(logits: Tensor, present: Tensor | None = None) -> Tensor:
    """(..., m - 1) logits -> (..., m) weights that sum to 1 over present streams."""
    logits = torch.cat([logits, torch.zeros_like(logits[..., :1])], dim=-1)
    if present is not None:
        logits = torch.where(present, logits, torch.finfo(logits.dtype).min)
    return logits.softmax(dim=-1)


@MODELS.register_module()
class NaiveMix(BaseModule):
    """A new trainable token; the streams' CLS tokens are thrown away.

    Args:
        embed_dims: d. num_streams: m (not used; every mix takes the same two).
    """

    def __init__(self, embed_dims: int, num_streams: int = 2) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.empty(embed_dims))
        nn.init.trunc_normal_(self.cls_token, std=0.02)

    def forward(
        self, cls: Tensor, tokens: Tensor, present: Tensor | None = None
    ) -> Tensor:
        """(b, m, d), (b, l, d), (b, m) -> (b, d)."""
        return self.cls_token.to(cls.dtype).expand(cls.shape[0], -1)


@MODELS.register_module()
class AverageMix(BaseModule):
    """The mean of the streams' CLS tokens, over the streams that a sample has.

    Args:
        embed_dims: d. num_streams: m (not used; every mix takes the same two).
    """

    def __init__(self, embed_dims: int, num_streams: int = 2) -> None:
        super().__init__()

    def forward(
        self, cls: Tensor, tokens: Tensor, present: Tensor | None = None
    ) -> Tensor:
        """(b, m, d), (b, l, d), (b, m) -> (b, d)."""
        if present is None:
            return cls.mean(dim=1)
        weight = present.to(cls.dtype).unsqueeze(-1)  # (b, m, 1)
        return (cls * weight).sum(1) / weight.sum(1).clamp(min=1)


@MODELS.register_module()
class WeightedMix(BaseModule):
    """Equation 1: alpha = sigmoid(omega), one learnable scalar for all inputs.

    More than two streams: softmax over (omega_1, ..., omega_{m-1}, 0), which is the
    sigmoid for m = 2.

    Args:
        embed_dims: d (not used). num_streams: m.
    """

    def __init__(self, embed_dims: int, num_streams: int = 2) -> None:
        super().__init__()
        self.omega = nn.Parameter(torch.zeros(num_streams - 1))

    def forward(
        self, cls: Tensor, tokens: Tensor, present: Tensor | None = None
    ) -> Tensor:
        """(b, m, d), (b, l, d), (b, m) -> (b, d)."""
        self.last_weights = stream_weights(self.omega.detach(), present)  # (m,), (b, m)
        return mix_by_logits(cls, self.omega, present)


@MODELS.register_module()
class ContextMix(BaseModule):
    """Equation 2: alpha = sigmoid(Mean(Mamba(T_video ++ T_skeleton))), by sample.

    The paper's mean is "over the embedding values", which leaves one number a token;
    here it is over the tokens too, since equation 1 needs one number a sample. With m
    streams the embedding is cut into m - 1 equal parts, one logit each.

    Args:
        embed_dims: d, a multiple of m - 1. num_streams: m.
        d_state: state of the Mamba layer. bidirectional: its direction.
    """

    def __init__(
        self,
        embed_dims: int,
        num_streams: int = 2,
        *,
        d_state: int = 16,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        if embed_dims % (num_streams - 1):
            raise InputError(
                f"embed_dims={embed_dims} is not a multiple of num_streams - 1 ="
                f" {num_streams - 1}, one part for each logit"
            )
        self.num_logits = num_streams - 1
        self.mixer = MambaMixer(
            embed_dims, d_state=d_state, bidirectional=bidirectional
        )

    def forward(
        self, cls: Tensor, tokens: Tensor, present: Tensor | None = None
    ) -> Tensor:
        """(b, m, d), (b, l, d), (b, m) -> (b, d)."""
        context = self.mixer(tokens)  # (b, l, d)
        context = context.to(torch.promote_types(torch.float32, context.dtype))
        logits = context.unflatten(-1, (self.num_logits, -1)).mean(dim=(1, 3))
        self.last_weights = stream_weights(logits.detach(), present)  # (b, m)
        return mix_by_logits(cls, logits.to(cls.dtype), present)


@MODELS.register_module()
class GatedMix(BaseModule):
    """Equation 1 with weights by sample, from the CLS tokens and the tokens' mean.

    Ours, not of paper A: where equation 2 reads the mean over all channels of one more
    Mamba layer, this has a linear read-out behind one hidden layer, and it reads the
    CLS tokens that it weighs. The read-out starts at zero, so that the mix starts as
    the average. configs/cls_mix/STUDY.md compares it with the paper's four.

    Args:
        embed_dims: d. num_streams: m.
    """

    def __init__(self, embed_dims: int, num_streams: int = 2) -> None:
        super().__init__()
        self.hidden = nn.Linear((num_streams + 1) * embed_dims, embed_dims)
        self.logits = nn.Linear(embed_dims, num_streams - 1)
        nn.init.zeros_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)

    def forward(
        self, cls: Tensor, tokens: Tensor, present: Tensor | None = None
    ) -> Tensor:
        """(b, m, d), (b, l, d), (b, m) -> (b, d)."""
        here = cls if present is None else cls * present.unsqueeze(-1)
        seen = torch.cat([here.flatten(1), tokens.mean(1)], dim=-1)  # (b, (m + 1) d)
        logits = self.logits(nn.functional.silu(self.hidden(seen)))  # (b, m - 1)
        self.last_weights = stream_weights(logits.detach(), present)  # (b, m)
        return mix_by_logits(cls, logits.to(cls.dtype), present)
