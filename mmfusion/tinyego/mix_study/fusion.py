"""Stage 2 of the study: one mix, one regime, one number of clips, one seed.

The neck is paper A's, the head is the demo's; only the encoders are not trained on.

Shapes: n clips, b a batch, k classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleDict
from torch import Tensor

from mmfusion.models import (
    AverageMix,
    ClassificationHead,
    CLSMixFusion,
    ContextMix,
    GatedMix,
    NaiveMix,
    WeightedMix,
)
from mmfusion.tinyego import ACTIONS, NOUNS

from .encoders import Schedule, batches, optimizer_of
from .features import ClipFeatures

BATCH, RATE = 64, 2e-3
_CHECKS = 6  # of the validation clips, in one training
_EMBED_DIMS = 64


class OracleMix(BaseModule):
    """Equation 1 with the alpha of somebody who knows which stream fails.

    All weight goes to the stream that is sound, half to each where both are. ``wrong``,
    (b,) places in ``WRONG``, is set before each forward.
    """

    def __init__(self, embed_dims: int, num_streams: int = 2) -> None:
        super().__init__()
        self.wrong = torch.zeros(0, dtype=torch.long)

    def forward(
        self, cls: Tensor, tokens: Tensor, present: Tensor | None = None
    ) -> Tensor:
        """(b, 2, d) -> (b, d)."""
        table = torch.tensor([[0.5, 0.5], [0.0, 1.0], [1.0, 0.0]])  # as WRONG
        weights = table[self.wrong]  # (b, 2)
        self.last_weights = weights
        return (cls * weights.unsqueeze(-1)).sum(1)


MIXES: dict[str, type[BaseModule]] = {
    "naive": NaiveMix,
    "average": AverageMix,
    "weighted": WeightedMix,
    "context": ContextMix,
    "gated": GatedMix,
    "oracle": OracleMix,
}


LINEAR = {
    "video": ("video",),
    "hands": ("skeleton",),
    "late": ("video", "skeleton"),
}
_DIRECT = "_direct"  # the mixed CLS token is read without the Mamba block
DIRECT = tuple(f"{mix}{_DIRECT}" for mix in ("average", "context", "gated", "oracle"))
ROWS = (*LINEAR, *MIXES, *DIRECT)


@dataclass(frozen=True)
class Cell:
    """One training of the grid."""

    regime: str
    mix: str
    size: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """Answers of one training to the test clips.

    Attributes:
        action, verb: (n,) bool, right or not; a verb is scored by the sum over nouns.
        alpha: (n,) weight of the video, or None for a mix without weights.
        step: of the chosen weights, of ``steps``.
        val_loss: their cross-entropy on the validation clips.
    """

    action: Tensor
    verb: Tensor
    alpha: Tensor | None
    step: int
    val_loss: float


class Fusion(BaseModule):
    """Paper A's neck, with its Mamba block or without, and the demo's head."""

    def __init__(self, mix: str, num_blocks: int = 1) -> None:
        super().__init__()
        config = dict(type=MIXES[mix])
        self.neck = CLSMixFusion(config, _EMBED_DIMS, num_blocks=num_blocks)
        self.head = ClassificationHead(len(ACTIONS), _EMBED_DIMS)

    def scores(self, clips: ClipFeatures, rows: Tensor) -> Tensor:
        """Logits (b, k) of some clips."""
        if isinstance(self.neck.mix, OracleMix):
            self.neck.mix.wrong = clips.wrong[rows]
        return self.head(self.neck(clips.take(rows)))

    def loss(self, clips: ClipFeatures, rows: Tensor) -> Tensor:
        return F.cross_entropy(self.scores(clips, rows), clips.action[rows])

    def alpha(self, count: int) -> Tensor | None:
        """The video's weight (b,) of the last clips, if the mix has weights."""
        weights = self.neck.stream_weights()
        return weights["video"].expand(count) if weights else None


class LinearStreams(BaseModule):
    """A linear head on each stream's CLS token; the sum of their probabilities.

    Each head is trained as if it were alone. Of one stream it is that stream's own
    result, of two it is late fusion.
    """

    def __init__(self, streams: Sequence[str]) -> None:
        super().__init__()
        heads = {n: ClassificationHead(len(ACTIONS), _EMBED_DIMS) for n in streams}
        self.heads = ModuleDict(heads)

    def scores(self, clips: ClipFeatures, rows: Tensor) -> Tensor:
        """Logarithm of the mean probabilities (b, k) of some clips."""
        each = [logits.softmax(-1) for logits in self._logits(clips, rows)]
        return torch.stack(each).mean(0).log()

    def loss(self, clips: ClipFeatures, rows: Tensor) -> Tensor:
        """Sum of the streams' cross-entropies."""
        labels = clips.action[rows]
        losses = [F.cross_entropy(one, labels) for one in self._logits(clips, rows)]
        return torch.stack(losses).sum()

    def alpha(self, count: int) -> None:
        return None

    def _logits(self, clips: ClipFeatures, rows: Tensor) -> list[Tensor]:
        feats = clips.take(rows)
        return [head(feats[name].summary) for name, head in self.heads.items()]


Model = Fusion | LinearStreams


def build(mix: str) -> Model:
    """Model of a row of the study."""
    if mix in LINEAR:
        return LinearStreams(LINEAR[mix])
    if mix in DIRECT:
        return Fusion(mix.removesuffix(_DIRECT), num_blocks=0)
    return Fusion(mix)


def run_cell(
    cell: Cell,
    train: ClipFeatures,
    val: ClipFeatures,
    test: ClipFeatures,
    *,
    steps: int,
    rate: float = RATE,
) -> Outcome:
    """Train on ``cell.size`` clips, choose by the validation loss, test once.

    Args:
        train: at least as many; the seed says which of them are taken.
        val, test: of the same regime.
        steps: batches of 64 clips, whatever the number of clips is.
        rate: highest learning rate.
    """
    torch.manual_seed(1000 + cell.seed)
    generator = torch.Generator().manual_seed(cell.seed)
    own = torch.randperm(len(train), generator=generator)[: cell.size]
    model = build(cell.mix)
    optimizer = optimizer_of(model)
    schedule = Schedule(rate, steps)
    best: tuple[float, int, dict[str, Any]] = (float("inf"), 0, {})
    for step, rows in enumerate(batches(cell.size, BATCH, steps, generator), 1):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step - 1)
        loss = model.loss(train, own[rows])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % max(1, steps // _CHECKS) == 0 or step == steps:
            logits, _ = _answers(model, val)
            found = float(F.cross_entropy(logits, val.action))
            if found < best[0]:
                kept = {k: v.clone() for k, v in model.state_dict().items()}
                best = (found, step, kept)
    model.load_state_dict(best[2])
    logits, alpha = _answers(model, test)
    by_verb = logits.softmax(-1).unflatten(-1, (-1, len(NOUNS))).sum(-1)
    return Outcome(
        action=logits.argmax(-1) == test.action,
        verb=by_verb.argmax(-1) == test.action // len(NOUNS),
        alpha=alpha,
        step=best[1],
        val_loss=best[0],
    )


@torch.inference_mode()
def _answers(model: Model, clips: ClipFeatures) -> tuple[Tensor, Tensor | None]:
    """Scores (n, k) and the video's weight (n,), if the mix has weights."""
    scores, alphas = [], []
    for rows in torch.arange(len(clips)).split(240):
        scores.append(model.scores(clips, rows))
        alpha = model.alpha(len(rows))
        if alpha is not None:
            alphas.append(alpha)
    return torch.cat(scores), torch.cat(alphas) if alphas else None
