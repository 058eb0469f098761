"""Coefficients of gradients, from how much each stream of a fusion has learned.

Shapes: b samples, k classes, m streams.
"""

import math
from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor

Kept = tuple[str, ...]
_LEAST = 1e-8  # a probability in a logarithm
_MOST = 7.0  # what AGM's release allows in the exponent


def shapley_values(logits: Mapping[Kept, Tensor]) -> dict[str, Tensor]:
    """Share of each stream in the logits, the mean over all orders of the streams.

    With two streams a and b: phi_a = (F(ab) - F(b) + F(a)) / 2, as in AGM; F of no
    stream at all counts as 0. They sum to F of all.

    Args:
        logits: F, (b, k) by every subset of the streams but the empty one, its names
            in the order of the largest.
    """
    streams = max(logits, key=len)
    count, empty = len(streams), torch.zeros_like(logits[streams])
    values = {}
    for name in streams:
        total = torch.zeros_like(empty)
        for size in range(count):
            share = 1 / (count * math.comb(count - 1, size))
            for others in combinations([x for x in streams if x != name], size):
                joined = tuple(x for x in streams if x in (*others, name))
                total += share * (logits[joined] - logits.get(others, empty))
        values[name] = total
    return values


def own_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """(b, k) and (b,) -> (b,), the probability of the label."""
    return logits.float().softmax(-1).gather(1, labels.unsqueeze(1)).squeeze(1)


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """(b, k) and (b,) -> (b,), the cross entropy, at most -log(1e-8)."""
    return -own_probability(logits, labels).clamp(min=_LEAST).log()


def ogm_coefficients(scores: Mapping[str, float], alpha: float) -> dict[str, float]:
    """Coefficients of OGM (equations 8 to 10): 1 - tanh(alpha rho) where rho > 1.

    rho is a stream's score over the mean of the others', with two streams the paper's.

    Args:
        scores: by stream, probability of the label from this stream alone, mean or sum.
        alpha: 0 or more; 0 changes nothing.
    """
    total = sum(scores.values())
    found = {}
    for name, score in scores.items():
        rest = (total - score) / (len(scores) - 1)
        rho = score / max(rest, _LEAST)
        found[name] = 1 - math.tanh(alpha * rho) if rho > 1 else 1.0
    return found


def agm_coefficients(
    losses: Mapping[str, float], means: Mapping[str, float], alpha: float
) -> dict[str, float]:
    """Coefficients of AGM: exp(alpha (tau - r)), with r and tau from losses by stream.

    r = exp((mean over streams - own) m / (m - 1)) is large for the stream that is
    ahead; tau is the same of the means so far, so that only what departs from the
    course of the training is held back, or let go.

    Args:
        losses: of this step, cross entropy of each stream's own share of the logits.
        means: of the steps before; 0 for each at the first.
        alpha: 0 or more; 0 changes nothing.
    """
    now, usual = _lead(losses), _lead(means)
    return {n: math.exp(alpha * min(usual[n] - now[n], _MOST)) for n in losses}


def _lead(losses: Mapping[str, float]) -> dict[str, float]:
    count = len(losses)
    middle = sum(losses.values()) / count
    return {n: math.exp((middle - x) * count / (count - 1)) for n, x in losses.items()}
