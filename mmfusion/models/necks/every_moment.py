"""A fused vector at every moment of the stream that sets the clock.

Shapes: b rows, t moments (tokens of that stream), s tokens of another stream, d
channels.
"""

from dataclasses import replace

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError


@MODELS.register_module()
class EveryMoment(BaseModule):
    """Fuse streams at every moment, from what each has told by then.

    For encoders whose token i is a summary of all frames up to i (the causal ones). The
    tokens of all streams lie evenly in one clip, their first at its start: at moment i
    of t another stream with s tokens has told those up to i s / t, and none that is
    later than the moment. Its last one goes to the inner neck, as if it were the CLS
    token of a clip that ends there. The heads then score every moment: online action
    detection.

    Args:
        stream: whose tokens are the moments.
        neck: config of a neck that reads summaries only (:class:`MLPFusion`); None with
            that stream alone.

    Example:
        >>> neck = EveryMoment("video")
        >>> neck({"video": TokenFeatures(torch.randn(2, 5, 16))}).shape
        torch.Size([2, 5, 16])
    """

    summaries_only = True

    def __init__(
        self,
        stream: str = "video",
        *,
        neck: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.stream = stream
        self.neck = None if neck is None else MODELS.build(neck)

    def forward(self, feats: dict[str, TokenFeatures]) -> Tensor:
        """Features by stream -> (b, t, d).

        Raises:
            ValueError: the stream that sets the clock is missing, or there are several
                streams and no neck.
        """
        if self.stream not in feats or (self.neck is None and len(feats) > 1):
            raise InputError(
                f"EveryMoment got the streams {sorted(feats)}; expected"
                f" {self.stream!r}, which sets the clock, among them, and a neck where"
                " there are several"
            )
        count = feats[self.stream].tokens.shape[1]
        if self.neck is None:
            return feats[self.stream].tokens
        told = {name: _told(one, count) for name, one in feats.items()}
        return self.neck(told).unflatten(0, (-1, count))


def _told(feats: TokenFeatures, count: int) -> TokenFeatures:
    """The last token by each of ``count`` moments: (b, s, d) -> one a row, (b t, 1, d).

    A moment with none that is real by then has no stream.
    """
    moments = torch.arange(count, device=feats.tokens.device)
    place = moments * feats.tokens.shape[1] // count  # (t,)
    tokens = feats.tokens[:, place].flatten(0, 1)  # (b t, d)
    if feats.mask is None:
        return replace(feats, tokens=tokens.unsqueeze(1), cls=tokens)
    mask = feats.mask.cummax(1).values[:, place]  # (b, t)
    return TokenFeatures(tokens.unsqueeze(1), tokens, mask.reshape(-1, 1))
