"""Video Mamba Suite's cross-modal fusion: one sequence of all streams, read both ways.

Shapes: b rows, l tokens of all streams, d channels.
"""

from collections.abc import Mapping

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.layers import build_blocks, build_mixer, forward_blocks
from mmfusion.models.necks.shared_ssm_fusion import pool, real_tokens_first
from mmfusion.models.necks.stream_inputs import VIDEO_AND_TEXT, StreamInputs
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures, match_rows


@MODELS.register_module()
class CrossModalScanFusion(BaseModule):
    """Scan the other streams and then the first one, all in one sequence, both ways.

    The manner of video-mamba-suite (arXiv 2403.09626; OpenGVLab/video-mamba-suite
    ec9108b, ``video-temporal-grounding/model/univtg_mamba.py``): an embedding of its
    type is added to each stream's tokens, text stands before video, blocks of ViM read
    the sequence, and only the video's tokens are used behind the last norm; here their
    mean is the fused vector. A sample without its first stream gives the mean of the
    rest.

    Different from theirs: streams come to one width by :class:`StreamInputs`; norms are
    RMSNorms, as in all our blocks; no sine positions are added inside the blocks, since
    our encoders add theirs; and padding is not read: theirs is scanned as if it were
    real.

    Args:
        embed_dims: d. streams: settings by stream, see :class:`StreamInputs`; the first
            one is read out and stands last in the sequence.
        num_blocks: of Mamba. bidirectional: False reads from the first token to the
            last.
        d_state, d_conv, expand: as in :class:`MambaMixer`.
        mixer, head_dims: as in :func:`build_mixer`. drop_path_rate: in [0, 1).

    Raises:
        ValueError: a wrong setting of a stream or of the mixer.

    Example:
        >>> import torch
        >>> feats = {n: TokenFeatures(torch.randn(2, 5, 16)) for n in ("video", "text")}
        >>> CrossModalScanFusion(16, num_blocks=1)(feats).shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        embed_dims: int,
        *,
        streams: Mapping[str, Mapping] = VIDEO_AND_TEXT,
        num_blocks: int = 6,
        bidirectional: bool = True,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        mixer: str = "mamba",
        head_dims: int = 64,
        drop_path_rate: float = 0.1,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.inputs = StreamInputs(streams, embed_dims)
        self.modality_embed = nn.Parameter(torch.empty(len(streams), embed_dims))
        nn.init.trunc_normal_(self.modality_embed, std=0.02)

        def new_mixer() -> nn.Module:
            return build_mixer(
                mixer,
                embed_dims,
                d_state=d_state,
                d_conv=d_conv,
                expand=expand,
                head_dims=head_dims,
                bidirectional=bidirectional,
            )

        blocks, self.drop_path = build_blocks(
            embed_dims,
            num_blocks,
            bidirectional=bidirectional,
            drop_path_rate=drop_path_rate,
            new_mixer=new_mixer,
        )
        self.layers = ModuleList(blocks)
        self.norm_f = nn.RMSNorm(embed_dims, eps=1e-5)

    def forward(self, feats: dict[str, TokenFeatures]) -> Tensor:
        """Features by stream -> the fused vector (b, d), b the most rows of a stream.

        Args:
            feats: tokens (b, l, c), cls (b, c) or None, mask (b, l) or None.

        Raises:
            ValueError: a stream is missing, has another width, or rows that do not
                divide the most.
        """
        streams = match_rows(self.inputs(feats))
        parts, masks = [], []
        for stream, embed in zip(streams.values(), self.modality_embed, strict=True):
            tokens, mask = stream.sequence  # (b, l_m, d), (b, l_m)
            if mask is None:
                mask = torch.ones_like(tokens[..., 0], dtype=torch.bool)
            parts.append(tokens + embed)
            masks.append(mask)
        first = masks[0].sum(1, keepdim=True)  # (b, 1), real tokens of the first one
        x = torch.cat(parts[1:] + parts[:1], dim=1)  # (b, l, d)
        real: Tensor | None = None
        if any(stream.mask is not None for stream in streams.values()):
            x, real = real_tokens_first(x, torch.cat(masks[1:] + masks[:1], dim=1))
        x = forward_blocks(x, self.layers, self.norm_f, self.drop_path, mask=real)
        if real is None:
            return x[:, -parts[0].shape[1] :].mean(1)
        place = torch.arange(x.shape[1], device=x.device)  # (l,)
        begin = (real.sum(1, keepdim=True) - first).masked_fill(first == 0, 0)
        return pool(x, real & (place >= begin), "mean")
