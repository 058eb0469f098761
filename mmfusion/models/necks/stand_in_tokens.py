"""Learned tokens in place of a stream that a sample lacks.

Shapes: b rows, l tokens of a stream, d channels of a stream.
"""

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError


@MODELS.register_module()
class StandInTokens(BaseModule):
    """Fill in a missing stream, for any neck: one learned token, and a CLS token.

    The Missing Modality Token of Ramazanova et al. (arXiv 2401.11470): all tokens of a
    stream that a sample lacks become the same learned token, and its CLS token another
    one. To the neck the stream is then there. A stream that is there in part keeps its
    tokens and its mask. Tokens are learned only from samples that lack their stream:
    train with :class:`~mmfusion.datasets.transforms.DropStreams`, or on such records.

    Args:
        embed_dims: d by stream; the recognizer gives those of its encoders.
        streams: that may be missing; None is all.

    Raises:
        ValueError: a stream without an encoder.

    Example:
        >>> import torch
        >>> lost = TokenFeatures(torch.zeros(2, 5, 8), mask=torch.zeros(2, 5).bool())
        >>> found = StandInTokens(dict(text=8))(dict(text=lost))["text"]
        >>> found.tokens.shape, found.present.tolist()
        (torch.Size([2, 5, 8]), [True, True])
    """

    def __init__(
        self,
        embed_dims: Mapping[str, int],
        *,
        streams: Sequence[str] | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.streams = tuple(embed_dims if streams is None else streams)
        unknown = sorted(set(self.streams) - set(embed_dims))
        if unknown:
            raise InputError(
                f"stand_ins.streams names {unknown}; expected some of {[*embed_dims]}"
            )
        # (2, d) a stream: in place of its tokens, of its CLS token
        self.tokens = nn.ParameterDict(
            {name: torch.empty(2, embed_dims[name]) for name in self.streams}
        )
        for pair in self.tokens.values():
            nn.init.trunc_normal_(pair, std=0.02)

    def forward(self, feats: Mapping[str, TokenFeatures]) -> dict[str, TokenFeatures]:
        """Features of an encoder each -> the same, streams that lack filled in."""
        return {
            name: self._fill(name, stream) if name in self.streams else stream
            for name, stream in feats.items()
        }

    def _fill(self, name: str, stream: TokenFeatures) -> TokenFeatures:
        """One stream: tokens (b, l, d), cls (b, d), mask (b, l)."""
        present = stream.present
        if present is None:
            # then the learned tokens get gradients of 0, and not none at all, which
            # several processes could not average
            present = torch.ones_like(stream.tokens[:, 0, 0], dtype=torch.bool)
        here = present.unsqueeze(1)  # (b, 1)
        token, cls_token = self.tokens[name]
        tokens = _choose(here.unsqueeze(2), stream.tokens, token)
        cls = None if stream.cls is None else _choose(here, stream.cls, cls_token)
        mask = None if stream.mask is None else stream.mask | ~here
        return TokenFeatures(tokens, cls, mask)


def _choose(here: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """(b, ..., d): ``own`` in the rows that are here, else ``other`` (d,)."""
    return torch.where(here, own, other.to(own.dtype))
