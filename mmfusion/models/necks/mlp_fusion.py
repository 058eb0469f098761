"""The first baseline of paper B's Table 3: concatenate and project.

Shapes: b rows, m streams, d channels.
"""

from collections.abc import Mapping

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.models.necks.stream_inputs import VIDEO_AND_TEXT, StreamInputs
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures, match_rows


@MODELS.register_module()
class MLPFusion(BaseModule):
    """Two linear layers on one token of each stream (paper B, Table 3).

    The token is the stream's CLS token, or its mean; for the text of the paper it is
    the encoder's pooled output: ``TextEncoder(summary='pooler')``. A stream that a
    sample lacks is a zero vector. Without ``mlp`` on a stream it has 6 d^2 + 3 d
    parameters for two streams: 3.54 M at d = 768.

    Args:
        embed_dims: d. streams: settings by stream, see :class:`StreamInputs`.

    Example:
        >>> import torch
        >>> feats = {n: TokenFeatures(torch.randn(2, 5, 16)) for n in ("video", "text")}
        >>> MLPFusion(16)(feats).shape
        torch.Size([2, 16])
    """

    summaries_only = True

    def __init__(
        self,
        embed_dims: int,
        *,
        streams: Mapping[str, Mapping] = VIDEO_AND_TEXT,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.inputs = StreamInputs(streams, embed_dims)
        width = len(streams) * embed_dims
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, embed_dims)

    def forward(self, feats: dict[str, TokenFeatures]) -> Tensor:
        """Features by stream -> the fused vector (b, d), b the most rows of a stream.

        Raises:
            ValueError: a stream is missing or has another width.
        """
        streams = match_rows(self.inputs.summaries(feats))
        tokens = []
        for stream in streams.values():
            x = stream.tokens.squeeze(1)  # (b, d)
            tokens.append(x if stream.mask is None else x * stream.mask.to(x.dtype))
        x = torch.cat(tokens, dim=-1)  # (b, m d)
        return self.fc2(nn.functional.gelu(self.fc1(x)))
