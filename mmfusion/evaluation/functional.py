"""Accuracies, their intervals, and tests between models on the same clips.

Pure functions on NumPy arrays: ``s`` seeds (trained models of one method), ``n`` clips,
``k`` classes. ``correct`` arrays are 0 or 1. Accuracies, differences and intervals are
percent or percentage points; p values are probabilities.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmfusion.utils.errors import InputError

_CONFIDENCE = 0.95
_NUM_DRAWS = 1000  # of the bootstrap
_NUM_EXCHANGES = 9999  # of the permutation test; all of them where there are no more


class Interval(NamedTuple):
    """An estimate and the two ends of its confidence interval, in percent."""

    mean: float
    low: float
    high: float


def topk_correct(scores: ArrayLike, labels: ArrayLike, k: int) -> NDArray[np.bool_]:
    """True where the label is among the k highest scores; ties count against it.

    MMAction2's ``top_k_accuracy`` breaks ties by class index, so that a model with
    constant scores looks right on one class, and gives no result per clip.

    Args:
        scores: (n, k).
        labels: (n,) integers.
        k: how many of the highest scores may hold the label.

    Returns:
        (n,) bool.
    """
    score, label = np.asarray(scores), np.asarray(labels)
    _check_scores(score, label)
    own = np.take_along_axis(score, label[:, None], axis=1)  # (n, 1)
    not_below = (score >= own).sum(axis=1)  # (n,), the label itself included
    return not_below <= k


def predicted_classes(scores: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """The class of the highest score; where the label ties with another, that one.

    So an answer equals the label exactly where :func:`topk_correct` with k = 1 says so.

    Args:
        scores: (n, k).
        labels: (n,) integers.

    Returns:
        (n,) integers.
    """
    score, label = np.asarray(scores), np.asarray(labels)
    _check_scores(score, label)
    best = score == score.max(axis=1, keepdims=True)  # (n, k)
    others = best.copy()
    np.put_along_axis(others, label[:, None], False, axis=1)
    return np.where(others.any(axis=1), others.argmax(axis=1), best.argmax(axis=1))


def mean_class_accuracy(scores: ArrayLike, labels: ArrayLike) -> float:
    """Mean over the classes that have clips of the top-1 accuracy in each, percent.

    MMAction2's function of that name also averages over classes that were only
    predicted, each as a zero, which makes small test sets look worse than they are.

    Args:
        scores: (n, k).
        labels: (n,) integers.
    """
    label = np.asarray(labels)
    correct = topk_correct(scores, label, 1)
    per_class = [correct[label == c].mean() for c in np.unique(label)]
    return 100.0 * float(np.mean(per_class))


def wilson_interval(num_correct: int, num_samples: int) -> Interval:
    """Accuracy of one model and its Wilson score interval."""
    if not 0 <= num_correct <= num_samples or num_samples < 1:
        raise InputError(
            "wilson_interval: expected 0 <= num_correct <= num_samples and at least "
            f"one sample, got {num_correct} of {num_samples}"
        )
    low, high = _wilson_ends(num_correct / num_samples, num_samples, _normal())
    return Interval(100.0 * num_correct / num_samples, 100.0 * low, 100.0 * high)


def _normal(confidence: float = _CONFIDENCE) -> float:
    """The normal distribution's quantile of a two-sided interval."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def _student(freedom: float, confidence: float = _CONFIDENCE) -> float:
    """Student's."""
    from scipy import stats  # a second, and a training needs none of it

    return float(stats.t.ppf(0.5 + confidence / 2, freedom))


def accuracy_interval(
    correct: ArrayLike, *, folds: ArrayLike | None = None
) -> Interval:
    """Mean accuracy over seeds, with an interval over new seeds, clips and folds.

    One seed without folds gives the Wilson interval. Else the variance of the mean is
    that of :func:`difference_interval`; the interval is Wilson's with the number of
    clips that a plain binomial of that variance would have, and Student's quantile.

    Args:
        correct: (s, n), the same clips in every row; 0, 1, or a mean of such answers.
        folds: (n,) the fold that tests each clip, of a cross-validation.
    """
    value = _seeds_by_clips(correct, "correct")
    num_seeds, num_samples = value.shape
    p = float(value.mean())
    is_plain = num_seeds == 1 and folds is None
    variance, freedom = (0.0, 1.0) if is_plain else _variance_of_mean(value, folds)
    if variance == 0.0 or p in (0.0, 1.0):
        size, quantile = float(num_samples), _normal()
    else:
        size = min(p * (1 - p) / variance, float(value.size))
        quantile = _student(freedom)
    low, high = _wilson_ends(p, size, quantile)
    return Interval(100.0 * p, 100.0 * low, 100.0 * high)


def _wilson_ends(p: float, size: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval of a proportion ``p`` of ``size`` samples, 0 to 1."""
    shrink = 1 + quantile**2 / size
    centre = (p + quantile**2 / (2 * size)) / shrink
    half = np.sqrt(p * (1 - p) / size + quantile**2 / (4 * size**2))
    half *= quantile / shrink
    low = max(0.0, float(centre - half)) if p > 0 else 0.0  # exactly, at both ends
    return low, min(1.0, float(centre + half)) if p < 1 else 1.0


def bootstrap_interval(
    values: ArrayLike, groups: ArrayLike, *, classes: ArrayLike | None = None
) -> Interval:
    """A mean and its percentile interval when whole groups are drawn anew, percent.

    Clips of one video resemble each other, so that an interval over clips is too
    narrow: the bootstrap draws videos, with all their clips. One group alone says
    nothing of another, and its interval is 0 to 100. Two models with the same groups
    meet the same draws.

    Args:
        values: (n,), 0 or 1.
        groups: (n,), such as the video of each clip.
        classes: (n,) integers; with them, the mean over the classes that have clips of
            the mean in each, in every resample. Rare classes are hard, and lack in
            more of the resamples, whose means are therefore higher by some points: the
            interval is moved by that bias, the mean of the resamples less the value.
    """
    value = np.asarray(values, dtype=np.float64)
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    label = np.zeros(len(value), np.int64) if classes is None else np.asarray(classes)
    _, label = np.unique(label, return_inverse=True)
    if value.size == 0 or not value.shape == group.shape == label.shape:
        raise InputError(
            "bootstrap_interval: expected values, groups and classes (n,) of at least "
            f"one clip, got {value.shape}, {group.shape} and {label.shape}"
        )
    shape = (int(group.max()) + 1, int(label.max()) + 1)  # (groups, classes)
    cell = np.ravel_multi_index((group, label), shape)
    size = shape[0] * shape[1]
    hits = np.bincount(cell, weights=value, minlength=size).reshape(shape)
    counts = np.bincount(cell, minlength=size).reshape(shape)

    def mean(weights: NDArray) -> NDArray:
        """(draws,) means for (draws, groups) weights."""
        hit, count = weights @ hits, weights @ counts  # (draws, classes)
        present = count > 0
        return (hit / np.maximum(count, 1)).sum(axis=1) / present.sum(axis=1)

    estimate = 100.0 * float(mean(np.ones((1, shape[0])))[0])
    if shape[0] == 1:
        return Interval(estimate, 0.0, 100.0)
    rng = np.random.default_rng(0)
    draws = rng.multinomial(shape[0], np.full(shape[0], 1 / shape[0]), _NUM_DRAWS)
    tail = (1.0 - _CONFIDENCE) / 2
    means = 100.0 * mean(draws.astype(np.float64))
    ends = np.quantile(means, (tail, 1.0 - tail))
    if classes is not None:
        ends = np.clip(ends - (means.mean() - estimate), 0.0, 100.0)
    return Interval(estimate, float(ends[0]), float(ends[1]))


def difference_interval(
    correct_a: ArrayLike,
    correct_b: ArrayLike,
    *,
    folds: ArrayLike | None = None,
    confidence: float = _CONFIDENCE,
) -> Interval:
    """Accuracy of ``a`` minus that of ``b`` on the same clips, points, with interval.

    Row r of both comes from seed r, as a fusion starts from the encoders of its seed.
    The differences (s, n) are read as a two-way layout with random seeds and random
    clips: the variance of their mean is estimated from the mean squares of rows,
    columns and rest, its degrees of freedom by Satterthwaite. In simulations with
    three seeds 94 to 98 % of such intervals held the truth, where a bootstrap over
    seeds and clips fell to 83 % when seeds differed much: it cannot see more spread
    than three seeds show. With one seed only the clips vary.

    The folds of a cross-validation have other models and, where they are whole scenes
    or people, clips that resemble each other. The variance of the mean is estimated a
    second time from the differences of whole folds, with one degree of freedom less
    than there are folds, and where that one is the larger it counts. In simulations
    with five folds of 43 clips 91 to 98 % of the intervals of an accuracy held the
    truth, and 61 to 96 % of those over seeds and clips alone.

    Where every clip has the same difference, as where none differs, a variance of zero
    says nothing: then the interval is Newcombe's from the two accuracies (method 10 of
    "Improved confidence intervals for the difference between binomial proportions based
    on paired data", Statistics in Medicine 17, 1998), of the n clips.

    Args:
        correct_a: (s, n).
        correct_b: (s, n), the same seeds and clips in the same order.
        folds: (n,) the fold that tests each clip, of a cross-validation.
        confidence: of the interval, 0 to 1.
    """
    a = _seeds_by_clips(correct_a, "correct_a")
    b = _seeds_by_clips(correct_b, "correct_b")
    _check_same_shape(a, b)
    difference = a - b
    mean = float(difference.mean())
    if (difference == difference[0, 0]).all():
        low, high = _newcombe_ends(a, b, confidence)
        return Interval(100.0 * mean, 100.0 * low, 100.0 * high)
    variance, freedom = _variance_of_mean(difference, folds)
    half = float(np.sqrt(variance) * _student(freedom, confidence))
    low, high = max(-1.0, mean - half), min(1.0, mean + half)
    return Interval(100.0 * mean, 100.0 * low, 100.0 * high)


def _newcombe_ends(
    a: NDArray[np.float64], b: NDArray[np.float64], confidence: float
) -> tuple[float, float]:
    """Newcombe's method 10 for the difference of paired proportions, -1 to 1."""
    n = a.shape[1]
    first, second = float(a.mean()), float(b.mean())
    quantile = _normal(confidence)
    low_a, high_a = _wilson_ends(first, n, quantile)
    low_b, high_b = _wilson_ends(second, n, quantile)
    # clips by what both say: (both right) (both wrong) - (only a) (only b)
    both, neither = float((a * b).mean()), float(((1 - a) * (1 - b)).mean())
    cross = n**2 * (both * neither - (first - both) * (second - both))
    if cross > 0:
        cross = max(cross - n / 2, 0.0)  # Newcombe's correction
    margins = n**2 * float(np.sqrt(first * (1 - first) * second * (1 - second)))
    alike = cross / margins if margins > 0 else 0.0

    def distance(one: float, other: float) -> float:
        return max(one**2 - 2 * alike * one * other + other**2, 0.0) ** 0.5

    below = distance(first - low_a, high_b - second)
    above = distance(high_a - first, second - low_b)
    return max(-1.0, first - second - below), min(1.0, first - second + above)


def mcnemar_test(correct_a: ArrayLike, correct_b: ArrayLike) -> float:
    """Exact McNemar test: two models on the same clips, two-sided p value.

    Args:
        correct_a: (n,).
        correct_b: (n,).
    """
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    _check_same_shape(a, b)
    return _mcnemar_p(int((a & ~b).sum()), int((b & ~a).sum()))


def paired_permutation_test(correct_a: ArrayLike, correct_b: ArrayLike) -> float:
    """Two-sided p value that two methods, averaged over their seeds, are equally good.

    Under the null hypothesis the two may be exchanged within any clip. The trained
    models are taken as given: the test speaks about new clips, not new seeds.

    Args:
        correct_a: (s, n).
        correct_b: (s', n), the same clips in the same order.
    """
    a = _seeds_by_clips(correct_a, "correct_a").mean(axis=0)  # (n,)
    b = _seeds_by_clips(correct_b, "correct_b").mean(axis=0)
    _check_same_shape(a, b)
    differs = a != b  # where both agree, an exchange changes nothing
    if differs.sum() < 2:
        return 1.0
    from scipy import stats

    result = stats.permutation_test(
        (a[differs], b[differs]),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=_NUM_EXCHANGES,
        batch=1000,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def holm_adjust(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's adjustment of (m,) p values for m tests read together, (m,)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    factor = np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factor), 1.0)
    return adjusted


def mcnemar_bounds(
    num_correct_a: int, num_correct_b: int, num_samples: int
) -> tuple[float, float]:
    """Smallest and largest McNemar p value that two published accuracies allow.

    Without the results per clip, only k correct of n are known: the two models may
    disagree on as few clips as their counts differ by, or on as many as fit.
    """
    a, b, n = num_correct_a, num_correct_b, num_samples
    if not (0 <= a <= n and 0 <= b <= n):
        raise InputError(f"mcnemar_bounds: {a} and {b} do not fit in {n} samples")
    both_at_least = max(0, a + b - n)
    return (
        _mcnemar_p(abs(a - b), 0),
        _mcnemar_p(a - both_at_least, b - both_at_least),
    )


def smallest_difference(
    num_samples: int, *, num_disagreements: int | None = None, alpha: float = 0.05
) -> float | None:
    """Smallest difference, in points, that an exact McNemar test calls significant.

    Args:
        num_samples: clips that both models were tested on.
        num_disagreements: clips on which exactly one of them is right. None takes the
            most favourable case: one model is never right where the other is wrong.
        alpha: significance level.

    Returns:
        Percentage points, or None where no result can be significant.
    """
    if num_disagreements is not None:
        if not 0 <= num_disagreements <= num_samples:
            raise InputError(
                f"smallest_difference: num_disagreements={num_disagreements}, expected "
                f"0 to num_samples={num_samples}"
            )
        # d and the number of disagreements are both odd or both even
        pairs = [
            (d, (num_disagreements - d) // 2)
            for d in range(num_disagreements % 2, num_disagreements + 1, 2)
        ]
    else:
        pairs = [(d, 0) for d in range(num_samples + 1)]
    for difference, worse in pairs:
        if _mcnemar_p(worse + difference, worse) < alpha:
            return 100.0 * difference / num_samples
    return None


def _mcnemar_p(only_a: int, only_b: int) -> float:
    from scipy import stats

    total = only_a + only_b
    return float(stats.binomtest(only_a, total).pvalue) if total else 1.0


def _variance_of_mean(
    value: NDArray[np.float64], folds: ArrayLike | None = None
) -> tuple[float, float]:
    """Variance of the mean of (s, n) over new seeds, clips and folds, its freedom."""
    found = _variance_over_seeds_and_clips(value)
    if folds is None:
        return found
    _, fold = np.unique(np.asarray(folds), return_inverse=True)
    count = int(fold.max()) + 1
    if fold.shape != value.shape[1:] or count < 2:
        raise InputError(
            f"folds: expected {value.shape[1]} numbers of two folds at least, got"
            f" {fold.shape} of {count}"
        )
    above = value.mean(axis=0) - value.mean()  # (n,)
    sums = np.bincount(fold, weights=above)
    spread = float((sums**2).sum()) * count / (count - 1) / value.shape[1] ** 2
    return max(found, (spread, count - 1.0))


def _variance_over_seeds_and_clips(
    value: NDArray[np.float64],
) -> tuple[float, float]:
    """Variance of the mean of (s, n) over new seeds and clips, degrees of freedom."""
    s, n = value.shape
    mean, clip_mean = value.mean(), value.mean(axis=0)
    if s == 1:
        return float(clip_mean.var(ddof=1)) / n if n > 1 else 0.0, max(n - 1.0, 1.0)
    if n == 1:
        return float(value.var(ddof=1)) / s, s - 1.0
    seed_mean = value.mean(axis=1)
    rest = value - seed_mean[:, None] - clip_mean + mean  # (s, n)
    rest_freedom = (s - 1.0) * (n - 1.0)
    # each is a mean square over s * n: what it adds to the variance of the mean
    seeds = float(((seed_mean - mean) ** 2).sum() / (s - 1) / s)
    clips = float(((clip_mean - mean) ** 2).sum() / (n - 1) / n)
    both = float((rest**2).sum() / rest_freedom / (s * n))
    if seeds <= both:  # no sign that seeds differ beyond their clips
        return clips, n - 1.0
    if clips <= both:
        return seeds, s - 1.0
    variance = seeds + clips - both
    spread = seeds**2 / (s - 1) + clips**2 / (n - 1) + both**2 / rest_freedom
    return variance, max(variance**2 / spread, 1.0)


def _seeds_by_clips(correct: ArrayLike, name: str) -> NDArray[np.float64]:
    value = np.asarray(correct, dtype=np.float64)
    if value.ndim != 2 or value.size == 0:
        raise InputError(f"{name}: expected (seeds, clips), got shape {value.shape}")
    return value


def _check_same_shape(a: NDArray, b: NDArray) -> None:
    if a.shape != b.shape:
        raise InputError(
            f"the two models were not tested alike: {a.shape} against {b.shape}"
        )


def _check_scores(score: NDArray, label: NDArray) -> None:
    if score.ndim != 2 or label.shape != score.shape[:1] or label.size == 0:
        raise InputError(
            "expected scores (n, k) and labels (n,) of at least one clip, got "
            f"{score.shape} and {label.shape}"
        )
    if not np.isfinite(score).all():
        row = int(np.nonzero(~np.isfinite(score).all(axis=1))[0][0])
        raise InputError(f"scores: row {row} is not finite")
    if label.min() < 0 or label.max() >= score.shape[1]:
        raise InputError(
            f"labels: {label.min()} to {label.max()} do not fit scores of "
            f"{score.shape[1]} classes"
        )
