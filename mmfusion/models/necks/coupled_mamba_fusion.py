"""Coupled Mamba: a scan for each stream, whose states meet at every step.

Shapes: b rows, l tokens of a stream, t steps of all streams, d channels.
"""

from collections.abc import Mapping

import torch
from mmengine.model import BaseModule, ModuleDict, ModuleList
from torch import Tensor, nn

from mmfusion.models.layers import MambaMixer
from mmfusion.models.necks.shared_ssm_fusion import real_tokens_first
from mmfusion.models.necks.stream_inputs import VIDEO_AND_TEXT, StreamInputs
from mmfusion.ops import coupled_scan, coupled_scan_flops
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures, match_rows


class CoupledMambaLayer(BaseModule):
    """Norm, scan all streams together, add: a Mamba layer for each stream.

    Args:
        streams: their names. embed_dims: d. d_state, d_conv, expand, dt_rank: as in
            :class:`MambaMixer`.
    """

    def __init__(
        self,
        streams: tuple[str, ...],
        embed_dims: int,
        *,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dt_rank: int | None = None,
    ) -> None:
        super().__init__()
        self.mixers = ModuleDict(
            {
                name: MambaMixer(
                    embed_dims,
                    d_state=d_state,
                    d_conv=d_conv,
                    expand=expand,
                    dt_rank=dt_rank,
                )
                for name in streams
            }
        )
        self.norms = ModuleDict(
            {name: nn.RMSNorm(embed_dims, eps=1e-5) for name in streams}
        )
        self.uncounted_flops = 0

    def forward(
        self, xs: dict[str, Tensor], steps: dict[str, Tensor], num_steps: int
    ) -> dict[str, Tensor]:
        """Tokens (b, l, d) by stream and the step of each (b, l) -> the same."""
        inputs, gates = {}, {}
        for name, x in xs.items():
            mixer: MambaMixer = self.mixers[name]
            inputs[name], gates[name] = mixer.scan_inputs(self.norms[name](x))
        scans = [*inputs.values()]
        self.uncounted_flops = coupled_scan_flops(scans)
        ys = coupled_scan(scans, [*steps.values()], num_steps)
        mixed = {}
        for (name, x), y in zip(xs.items(), ys, strict=True):
            gated = y * nn.functional.silu(gates[name])
            mixed[name] = x + self.mixers[name].out_proj(gated)
        return mixed


@MODELS.register_module()
class CoupledMambaFusion(BaseModule):
    """Fuse streams by scans that go on from the state of all (Coupled Mamba).

    Li et al., NeurIPS 2024, arXiv 2405.18014. Each stream has a Mamba layer of its own,
    but its next state comes from the states of all streams at the step before, see
    :func:`mmfusion.ops.coupled_scan`. Layers have a norm in front and a residual;
    behind the last one each stream is the maximum over its tokens, and the fused vector
    their sum, weighted by a softmax over one learned number a stream, as in the
    authors' code (hustcselwb/coupled-mamba a9da100,
    ``mamba_ssm/modules/mamba_simple.py``).

    **The paper is followed, not its code**: there stock Mamba scans every stream alone
    and the others' outputs are added between two layers, through modules that the
    repository does not hold; no state is shared, so one layer of it fuses nothing but
    the weighted sum. Where the paper (figure 2) sums the streams' states and a matrix
    takes the sum on, we take the mean: with Mamba's decay exp(delta A), near 1, a sum
    of m streams would grow by m at every step.

    Streams have other lengths, of which the paper says nothing: the tokens of the
    shorter one are spread over the steps of the longest (token i of l_m at step
    floor(i t / l_m)), and a stream joins the mean at its own steps only. A sample's
    padding has no step, a stream that it lacks neither, and its weight is shared among
    the others.

    Args:
        embed_dims: d. streams: settings by stream, see :class:`StreamInputs`.
        num_layers: of them. d_state, d_conv, expand, dt_rank: as in
            :class:`MambaMixer`.

    Raises:
        ValueError: a wrong setting of a stream.

    Example:
        >>> import torch
        >>> feats = {n: TokenFeatures(torch.randn(2, 5, 16)) for n in ("video", "text")}
        >>> CoupledMambaFusion(16)(feats).shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        embed_dims: int,
        *,
        streams: Mapping[str, Mapping] = VIDEO_AND_TEXT,
        num_layers: int = 2,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dt_rank: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.inputs = StreamInputs(streams, embed_dims)
        names = self.inputs.names
        self.layers = ModuleList(
            CoupledMambaLayer(
                names,
                embed_dims,
                d_state=d_state,
                d_conv=d_conv,
                expand=expand,
                dt_rank=dt_rank,
            )
            for _ in range(num_layers)
        )
        self.norms = ModuleDict(
            {name: nn.RMSNorm(embed_dims, eps=1e-5) for name in names}
        )
        self.stream_logits = nn.Parameter(torch.zeros(len(names)))

    def forward(self, feats: dict[str, TokenFeatures]) -> Tensor:
        """Features by stream -> the fused vector (b, d), b the most rows of a stream.

        Args:
            feats: tokens (b, l, c), cls (b, c) or None, mask (b, l) or None.

        Raises:
            ValueError: a stream is missing, has another width, or rows that do not
                divide the most.
        """
        xs, masks = {}, {}
        for name, stream in match_rows(self.inputs(feats)).items():
            x, mask = stream.sequence  # (b, l, d), (b, l) or None
            if mask is None:
                mask = torch.ones_like(x[..., 0], dtype=torch.bool)
            else:
                x, mask = real_tokens_first(x, mask)
            xs[name], masks[name] = x, mask
        steps, num_steps = align_steps(masks)
        for layer in self.layers:
            xs = layer(xs, steps, num_steps)
        pooled = [_maximum(self.norms[name](x), masks[name]) for name, x in xs.items()]
        present = torch.stack([mask.any(1) for mask in masks.values()], 1)  # (b, m)
        logits = self.stream_logits.expand_as(present)
        # a sample without any stream: the mean of zeros
        hidden = ~present & present.any(1, keepdim=True)
        weights = logits.masked_fill(hidden, -torch.inf).softmax(1)  # (b, m)
        return torch.einsum("bm,bmd->bd", weights, torch.stack(pooled, 1))


def align_steps(masks: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """Spread each stream's real tokens over the steps of the sample's longest stream.

    Args:
        masks: (b, l) bool by stream, real tokens first.

    Returns:
        (b, l) int64 by stream, the step of each token; the number of steps t, which is
        also the step of padding.
    """
    counts = {name: mask.sum(1, keepdim=True) for name, mask in masks.items()}  # (b, 1)
    longest = torch.stack([*counts.values()]).amax(0)  # (b, 1)
    num_steps = max(mask.shape[1] for mask in masks.values())
    steps = {}
    for name, mask in masks.items():
        index = torch.arange(mask.shape[1], device=mask.device)  # (l,)
        step = index * longest // counts[name].clamp(min=1)
        steps[name] = step.masked_fill(~mask, num_steps)
    return steps, num_steps


def _maximum(x: Tensor, mask: Tensor) -> Tensor:
    """(b, l, d) -> (b, d) over real tokens; 0 where a row has none."""
    top = x.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1)
    return top.masked_fill(~mask.any(1, keepdim=True), 0)
