"""Predict what a hidden stream would say from the others: ActionMAE's loss.

Shapes: b rows, m streams, c channels of a stream, d channels within.
"""

from collections.abc import Mapping

import torch
from mmengine.model import BaseModule, ModuleDict, ModuleList
from torch import Tensor, nn

from mmfusion.models.layers import init_linear
from mmfusion.models.necks.transformer_fusion import TransformerBlock
from mmfusion.registry import MODELS
from mmfusion.structures import ForwardPass, match_rows
from mmfusion.utils.errors import InputError

_EPS = 1e-6


@MODELS.register_module()
class ReconstructionLoss(BaseModule):
    """Hide streams of a sample at random and predict their CLS tokens (an auxiliary).

    ActionMAE (Woo et al., AAAI 2023): an encoder reads memory tokens and the CLS tokens
    (or token means) that are left; a decoder reads its output with a mask token in each
    hidden place; the loss is the mean squared error to the hidden tokens, each brought
    to mean 0 and variance 1 first. As in the release, gradients reach the encoders of
    both what is read and what is predicted. Of n streams that a sample has, 1 to n - 1
    are hidden, all numbers alike; a sample of one stream adds nothing. ActionMAE also
    classifies from the predictions; here the neck keeps to what it has.

    Args:
        embed_dims: c by stream; d is the largest, other streams are projected to it.
        depth: blocks of the encoder, and of the decoder. num_heads: of each.
        num_memory: memory tokens. weight: of the loss.

    Raises:
        ValueError: fewer than two streams.

    Example:
        >>> loss = ReconstructionLoss(dict(video=64, skeleton=64))
        >>> sum(p.numel() for p in loss.parameters())
        208000
    """

    def __init__(
        self,
        embed_dims: Mapping[str, int],
        *,
        depth: int = 2,
        num_heads: int = 4,
        num_memory: int = 1,
        weight: float = 1.0,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(embed_dims) < 2:
            raise InputError(
                f"embed_dims is {dict(embed_dims)}; expected two streams or more"
            )
        self.streams, self.weight = tuple(embed_dims), weight
        self.num_memory = num_memory
        width = max(embed_dims.values())
        if width % num_heads:
            raise InputError(
                f"the width {width} is not a multiple of {num_heads} heads"
            )
        self.reads = ModuleDict(
            {n: nn.Linear(c, width) for n, c in embed_dims.items() if c != width}
        )
        self.memory = nn.Parameter(torch.empty(num_memory, width))
        self.mask_token = nn.Parameter(torch.empty(width))
        self.stream_embed = nn.Parameter(torch.empty(len(embed_dims), width))
        for parameter in (self.memory, self.mask_token, self.stream_embed):
            nn.init.trunc_normal_(parameter, std=0.02)
        self.encoder, self.decoder = (
            ModuleList(TransformerBlock(width, num_heads) for _ in range(depth))
            for _ in range(2)
        )
        self.norms = ModuleList(nn.LayerNorm(width, eps=_EPS) for _ in range(2))
        self.predicts = ModuleDict(
            {n: nn.Linear(width, c) for n, c in embed_dims.items()}
        )
        self.apply(init_linear)

    def forward(self, made: ForwardPass) -> dict[str, Tensor]:
        """The loss of one forward, ``{"hidden": 0-d}``.

        Raises:
            ValueError: a stream is missing from the features, or has another width.
        """
        lacking = [name for name in self.streams if name not in made.feats]
        if lacking:
            raise InputError(f"the encoders give {sorted(made.feats)}, not {lacking}")
        feats = match_rows({name: made.feats[name] for name in self.streams})
        targets = {name: stream.summary for name, stream in feats.items()}  # (b, c)
        for name, target in targets.items():
            if target.shape[-1] != self.predicts[name].out_features:
                raise InputError(
                    f"embed_dims[{name!r}] is {self.predicts[name].out_features}, and"
                    f" the encoder gives {target.shape[-1]} channels; expected the same"
                )
        rows = len(targets[self.streams[0]])
        flags = [stream.present for stream in feats.values()]
        present = torch.stack(
            [torch.ones(rows).bool() if f is None else f.cpu() for f in flags], dim=1
        )  # (b, m)
        device = self.memory.device
        hidden = hide_streams(present).to(device)
        predicted = self.predict(targets, present.to(device) & ~hidden)
        errors = torch.stack(
            [
                (predicted[n].float() - _standard(targets[n].float())).square().mean(-1)
                for n in self.streams
            ],
            dim=1,
        )  # (b, m)
        loss = (errors * hidden).sum() / hidden.sum().clamp(min=1)
        return {"hidden": self.weight * loss}

    def predict(
        self, summaries: Mapping[str, Tensor], shown: Tensor
    ) -> dict[str, Tensor]:
        """Predict each stream's standardised token from those that are shown.

        Args:
            summaries: (b, c) by stream. shown: (b, m) bool.

        Returns:
            (b, c) by stream.
        """
        read = [self._read(n, summaries[n]) for n in self.streams]
        x = torch.stack(read, dim=1) + self.stream_embed  # (b, m, d)
        memory = self.memory.expand(len(x), -1, -1)
        extra = shown.new_ones(len(x), self.num_memory)
        x = torch.cat([memory.to(x.dtype), x], dim=1)
        seen = torch.cat([extra, shown], dim=1)  # (b, memory + m)
        for block in self.encoder:
            x = block(x, seen)
        x = self.norms[0](x)
        blank = (self.mask_token + self.stream_embed).to(x.dtype)
        places = torch.where(shown.unsqueeze(-1), x[:, self.num_memory :], blank)
        x = torch.cat([x[:, : self.num_memory], places], dim=1)
        for block in self.decoder:
            x = block(x)
        x = self.norms[1](x)[:, self.num_memory :]
        return {n: self.predicts[n](x[:, i]) for i, n in enumerate(self.streams)}

    def _read(self, name: str, x: Tensor) -> Tensor:
        return self.reads[name](x) if name in self.reads else x


def hide_streams(present: Tensor) -> Tensor:
    """Choose 1 to n - 1 of each sample's n streams, all numbers and choices alike.

    Args:
        present: (b, m) bool, on the CPU, whose generator the checkpoints hold.

    Returns:
        (b, m) bool, True for a stream to hide; none of a sample of one stream.
    """
    counts = present.sum(1, keepdim=True)  # (b, 1)
    draws = torch.rand(present.shape).masked_fill(~present, 2.0)
    order = draws.argsort(1).argsort(1)  # of those present, first
    number = 1 + (torch.rand(len(present), 1) * (counts - 1)).long()
    return (order < number) & present & (counts > 1)


def _standard(x: Tensor) -> Tensor:
    """(b, c) with mean 0 and variance 1 a row."""
    spread = (x.var(-1, keepdim=True) + _EPS).sqrt()
    return (x - x.mean(-1, keepdim=True)) / spread
