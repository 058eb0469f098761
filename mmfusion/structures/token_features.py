"""Features of a stream, which an encoder gives to a neck."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mmfusion.utils.errors import InputError


@dataclass
class TokenFeatures:
    """Tokens of one stream, the batch first (b counts views: b = batch x views).

    A stream with q questions a clip has b = batch x views x q rows, the questions of a
    clip one after the other; :func:`match_rows` brings other streams to them.

    Attributes:
        tokens: (b, l, d), without the CLS token.
        cls: (b, d), the stream's CLS token after its encoder, or None where the
            encoder has none.
        mask: (b, l) bool, True for a real token; None means that all are real. A
            sample whose row is all False lacks this stream.
        votes: (b, n, d), in training alone: vectors whose mean is ``cls``, and each of
            which learns to say the class by itself where no neck follows.
    """

    tokens: Tensor
    cls: Tensor | None = None
    mask: Tensor | None = None
    votes: Tensor | None = None

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

    @property
    def sequence(self) -> tuple[Tensor, Tensor | None]:
        """(b, l', d) and its mask (b, l'): the CLS token, if there is one, in front."""
        if self.cls is None:
            return self.tokens, self.mask
        tokens = torch.cat([self.cls.unsqueeze(1), self.tokens], dim=1)  # (b, 1 + l, d)
        if self.present is None or self.mask is None:
            return tokens, None
        return tokens, torch.cat([self.present.unsqueeze(1), self.mask], dim=1)

    def absent(self) -> "TokenFeatures":
        """The stream of samples that lack it: zeros, and a mask that is False."""
        mask = torch.zeros_like(self.tokens[..., 0], dtype=torch.bool)  # (b, l)
        cls = None if self.cls is None else torch.zeros_like(self.cls)
        return TokenFeatures(torch.zeros_like(self.tokens), cls, mask)

    def repeat(self, times: int) -> "TokenFeatures":
        """Every row ``times`` times in a row: (b, ...) -> (b times, ...)."""
        if times == 1:
            return self
        cls = None if self.cls is None else self.cls.repeat_interleave(times, 0)
        mask = None if self.mask is None else self.mask.repeat_interleave(times, 0)
        return TokenFeatures(self.tokens.repeat_interleave(times, 0), cls, mask)


# a model that gives it can be exported as it is
torch.export.register_dataclass(
    TokenFeatures, serialized_type_name="mmfusion.TokenFeatures"
)


def row_repeats(rows: Mapping[str, int]) -> dict[str, int]:
    """Count how often each stream's rows repeat to be as many as the most.

    Raises:
        ValueError: the rows of a stream do not divide the most.
    """
    most = max(rows.values())
    if any(count < 1 or most % count for count in rows.values()):
        raise InputError(
            f"streams have {dict(rows)} rows, expected divisors of {most}, none 0"
        )
    return {name: most // count for name, count in rows.items()}


def keep_streams(
    feats: Mapping[str, TokenFeatures], kept: Collection[str]
) -> dict[str, TokenFeatures]:
    """Features of samples that have the streams ``kept`` and lack the others."""
    return {n: one if n in kept else one.absent() for n, one in feats.items()}


def match_rows(feats: Mapping[str, TokenFeatures]) -> dict[str, TokenFeatures]:
    """Give every stream as many rows as the longest has, each row repeated in place.

    Raises:
        ValueError: the rows of a stream do not divide the most.
    """
    times = row_repeats(
        {name: stream.tokens.shape[0] for name, stream in feats.items()}
    )
    return {name: stream.repeat(times[name]) for name, stream in feats.items()}
