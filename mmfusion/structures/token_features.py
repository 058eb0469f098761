"""What an encoder gives to a neck."""

from dataclasses import dataclass

from torch import Tensor


@dataclass
class TokenFeatures:
    """Tokens of one stream, the batch first (b counts views: b = batch x views).

    Attributes:
        tokens: (b, l, d), without the CLS token.
        cls: (b, d), the stream's CLS token after its encoder, or None where the
            encoder has none.
        mask: (b, l) bool, True for a real token; None means that all are real. A
            sample whose row is all False lacks this stream.
    """

    tokens: Tensor
    cls: Tensor | None = None
    mask: Tensor | None = None

    @property
    def present(self) -> Tensor | None:
        """(b,) bool, False where a sample lacks this stream; None means all have it."""
        return None if self.mask is None else self.mask.any(dim=1)

    @property
    def summary(self) -> Tensor:
        """(b, d): the CLS token, or the mean over real tokens where there is none."""
        if self.cls is not None:
            return self.cls
        if self.mask is None:
            return self.tokens.mean(dim=1)
        weight = self.mask.unsqueeze(-1).to(self.tokens.dtype)  # (b, l, 1)
        return (self.tokens * weight).sum(1) / weight.sum(1).clamp(min=1)
