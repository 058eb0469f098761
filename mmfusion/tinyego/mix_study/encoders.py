"""Stage 1 of the study: one encoder a stream, trained once on clips of all regimes.

The clips are of a world of its own seed, so that no scene that a fusion is trained or
tested on was seen here.

Shapes: n clips, t frames, j joints, k classes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.models import ClassificationHead, SkeletonMamba, VideoMamba
from mmfusion.models.recognizers.multimodal_preprocessor import (
    IMAGENET_MEAN,
    IMAGENET_STD,
)
from mmfusion.structures import TokenFeatures
from mmfusion.tinyego import ACTIONS

from .clips import NUM_FRAMES, NUM_POSES, SIZE

BATCH, RATE, WEIGHT_DECAY = 32, 4e-3, 0.05
_SHIFT = 4  # pixels
_NOT_DECAYED = {"A_log", "A_b_log", "pos_embed", "temporal_pos_embedding", "cls_token"}
_NOT_DECAYED |= {"modality_embed"}


class VideoStream(BaseModule):
    """Frames (n, 3, t, 64, 64) uint8 to features, as the demo's nano model has it."""

    grid = (NUM_FRAMES // 2, SIZE // 16, SIZE // 16)  # of its tokens

    def __init__(self) -> None:
        super().__init__()
        self.encoder = VideoMamba(
            arch="nano",
            num_frames=NUM_FRAMES,
            img_size=SIZE,
            tubelet_size=2,
            reset_dt=False,
        )
        mean, std = (
            torch.tensor(v).view(3, 1, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD)
        )
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, frames: Tensor) -> TokenFeatures:
        return self.encoder((frames.float() - self.mean) / self.std)


class HandsStream(BaseModule):
    """Joints (n, t, j, 3) and mask (n, t, j) to features, as in the demo."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = SkeletonMamba(
            arch="nano", num_frames=NUM_POSES, with_motion=True
        )

    def forward(self, joints: Tensor, mask: Tensor) -> TokenFeatures:
        return self.encoder(joints, mask)


@dataclass
class Schedule:
    """Learning rate by step: linear warm-up over a tenth, then a cosine to 1 %."""

    rate: float
    steps: int

    def __call__(self, step: int) -> float:
        warm = max(1, self.steps // 10)
        if step < warm:
            return self.rate * (step + 1) / warm
        share = (step - warm) / max(1, self.steps - warm)
        return self.rate * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * share)))


def optimizer_of(*modules: nn.Module) -> torch.optim.AdamW:
    """AdamW that decays matrices only, as the configs' schedules do."""
    named = [item for module in modules for item in module.named_parameters()]
    decayed: list[Tensor] = []
    rest: list[Tensor] = []
    for name, parameter in named:
        kept = parameter.ndim <= 1 or name.split(".")[-1] in _NOT_DECAYED
        (rest if kept else decayed).append(parameter)
    groups: list[dict[str, Any]] = [dict(params=decayed)]
    groups.append(dict(params=rest, weight_decay=0.0))
    return torch.optim.AdamW(groups, lr=RATE, weight_decay=WEIGHT_DECAY, fused=True)


def batches(
    count: int, batch: int, steps: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Indices of ``steps`` batches: whole epochs in random order, one after another."""
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        while len(order) < batch:
            order = torch.cat([order, torch.randperm(count, generator=generator)])
        yield order[:batch]
        order = order[batch:]


def train_stream(
    stream: VideoStream | HandsStream,
    read: Callable[[Tensor, torch.Generator], tuple[Tensor, ...]],
    labels: Tensor,
    *,
    epochs: int,
    seed: int,
) -> ClassificationHead:
    """Train a stream with a head of its own on the action, in place.

    Args:
        stream: :class:`VideoStream` or :class:`HandsStream`.
        read: inputs of a batch by its indices, augmented with the generator.
        labels: (n,) int64.
        epochs: passes over the clips.
        seed: of the order and the augmentation.

    Returns:
        The head, (d -> 12).
    """
    generator = torch.Generator().manual_seed(seed)
    head = ClassificationHead(len(ACTIONS), stream.encoder.embed_dims, init_std=0.15)
    optimizer = optimizer_of(stream, head)
    steps = max(1, epochs * len(labels) // BATCH)
    schedule = Schedule(RATE, steps)
    stream.train()
    for step, chosen in enumerate(batches(len(labels), BATCH, steps, generator)):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step)
        features = stream(*read(chosen, generator))
        loss = head.loss(head(features.summary), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        parameters = [p for g in optimizer.param_groups for p in g["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    stream.eval()
    return head


def shifted(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Each clip (n, 3, t, h, w) moved by up to 4 pixels, its border repeated."""
    count, size = len(frames), frames.shape[-1]
    moves = torch.randint(-_SHIFT, _SHIFT + 1, (2, count, 1), generator=generator)
    rows, columns = (torch.arange(size) + moves).clamp(0, size - 1)  # (n, size) each
    clip = torch.arange(count).view(-1, 1, 1)
    by_pixel = frames.permute(0, 3, 4, 1, 2)  # (n, h, w, 3, t)
    moved = by_pixel[clip, rows.unsqueeze(2), columns.unsqueeze(1)]
    return moved.permute(0, 3, 4, 1, 2)


def jittered(joints: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """Each clip (n, t, j, 3) scaled by up to 10 % and blurred by a millimetre."""
    scale = 0.9 + 0.2 * torch.rand(len(joints), 1, 1, 1, generator=generator)
    noise = 0.01 * torch.randn(joints.shape, generator=generator)
    return (joints * scale + noise) * mask.unsqueeze(-1)
