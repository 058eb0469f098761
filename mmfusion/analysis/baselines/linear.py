"""Logistic regression on plain numbers of a clip, its strength chosen on validation.

``n`` clips, ``d`` numbers of each, ``k`` classes.
"""

import warnings
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmfusion.utils.errors import InputError
from mmfusion.utils.optional import import_optional

# inverse strengths of the L2 penalty that are tried, the strongest first
STRENGTHS = tuple(10.0 ** (power / 2) for power in range(-8, 5))
NUM_PARTS = 5  # of the training clips, where there is no validation part
_SMALLEST = 1e-9  # probability that a log loss counts
_MAX_ITERATIONS = 2000
_PATIENCE = 3  # strengths tried after the best one so far

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """Clips with their classes.

    Attributes:
        x: (n, d) numbers.
        labels: (n,) classes.
    """

    x: Array
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class LinearModel:
    """A standardised logistic regression.

    Attributes:
        strength: C, the inverse of the penalty's weight, that was chosen.
        log_loss: mean of -log p(label) with it, where it was chosen.
        chosen_on: how many clips it was chosen on.
        num_classes: k.
    """

    strength: float
    log_loss: float
    chosen_on: int
    num_classes: int
    _fitted: Any

    def probabilities(self, x: Array) -> Array:
        """(m, k) of (m, d); a class that no training clip has gets 0."""
        return self._fitted(x)


def fit_linear(train: Labelled, val: Labelled | None, num_classes: int) -> LinearModel:
    """Fit on the training clips, with the strength of least log loss on others.

    The log loss of the validation clips chooses the strength, the stronger penalty
    where two are equal. Without such clips it is the mean over five parts of the
    training clips, each predicted from the other four.

    Args:
        train: what is learnt from; validation clips are not added at the end.
        val: None where there are none of their own.
        num_classes: k.

    Raises:
        InputError: the training clips are of one class, or too few.
        MissingPackageError: scikit-learn is not installed.
    """
    if len(np.unique(train.labels)) < 2 or len(train.labels) < 2 * NUM_PARTS:
        raise InputError(
            f"a linear baseline of {len(train.labels)} training clips of"
            f" {len(np.unique(train.labels))} classes; expected {2 * NUM_PARTS} of two"
        )
    pairs = [(train, val)] if val is not None else [*_parts(train)]
    fits = [(_Rotated(known), new) for known, new in pairs]
    count = sum(len(new.labels) for _, new in fits)
    losses: list[float] = []
    for strength in STRENGTHS:
        losses.append(0.0)
        for fit, new in fits:
            found = fit(strength, num_classes)(new.x)
            own = found[np.arange(len(found)), new.labels]
            losses[-1] -= float(np.log(np.maximum(own, _SMALLEST)).sum()) / count
        if len(losses) - 1 - int(np.argmin(losses)) >= _PATIENCE:
            break  # weaker penalties take longest, and the loss is past its least
    best = int(np.argmin(losses))
    fitted = _Rotated(train)(STRENGTHS[best], num_classes)
    return LinearModel(STRENGTHS[best], losses[best], count, num_classes, fitted)


def _parts(train: Labelled) -> Iterator[tuple[Labelled, Labelled]]:
    """Each fifth of the training clips after the other four; drawn with seed 0."""
    place = np.arange(len(train.labels)) % NUM_PARTS
    place = np.random.default_rng(0).permutation(place)
    for part in range(NUM_PARTS):
        known, new = place != part, place == part
        yield (
            Labelled(train.x[known], train.labels[known]),
            Labelled(train.x[new], train.labels[new]),
        )


class _Rotated:
    """Training clips, standardised and turned to at most n axes.

    The penalty is the same in every direction, so that the turn changes no answer; with
    fewer clips than numbers it makes a fit as quick as the clips are few. Each fit
    begins where the one before ended.
    """

    def __init__(self, train: Labelled) -> None:
        model = import_optional("sklearn.linear_model", "linear baselines")
        self._regression = model.LogisticRegression(
            max_iter=_MAX_ITERATIONS, warm_start=True
        )
        self._mean = train.x.mean(axis=0)
        spread = train.x.std(axis=0)
        self._scale = np.where(spread > 1e-12, spread, 1.0)
        inside = (train.x - self._mean) / self._scale
        self._axes = np.linalg.svd(inside, full_matrices=False)[2].T  # (d, <= n)
        self._x, self._labels = inside @ self._axes, train.labels

    def __call__(self, strength: float, num_classes: int) -> Any:
        """Function from (m, d) to probabilities (m, k)."""
        regression = self._regression.set_params(C=strength)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a fit that stops early
            regression.fit(self._x, self._labels)
        fitted = copy(regression)  # the next fit puts new arrays into its own

        def probabilities(x: Array) -> Array:
            turned = (x - self._mean) / self._scale @ self._axes
            found = np.zeros((len(x), num_classes))
            found[:, fitted.classes_] = fitted.predict_proba(turned)
            return found

        return probabilities
