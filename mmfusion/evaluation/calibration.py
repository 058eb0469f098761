"""Calibration: whether a model that is sure at 80 % is right in 80 % of such clips.

The expected calibration error of Guo et al., "On Calibration of Modern Neural
Networks" (2017), section 2, and the bins of its reliability diagram. ``n`` clips. All
numbers are percent.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmfusion.evaluation.answers import Answers
from mmfusion.evaluation.functional import Interval, wilson_interval
from mmfusion.utils.errors import InputError, check_choice

NUM_BINS = 15
BINNINGS = ("width", "mass")
_NUM_DRAWS, _NUM_CELLS = 200, 20_000_000  # cells: draws times clips, 8 bytes each


@dataclass(frozen=True)
class Bin:
    """Clips whose confidence lies in (low, high], the first bin from its low end on.

    Attributes:
        low: lower edge.
        high: upper edge.
        num_clips: clips in it.
        confidence: their mean; None where there are none.
        accuracy: share of them that is right, with Wilson's interval.
    """

    low: float
    high: float
    num_clips: int
    confidence: float | None
    accuracy: Interval | None


@dataclass(frozen=True)
class Calibration:
    """Confidence of a model beside its accuracy.

    Attributes:
        task: its name.
        num_clips: n.
        binning: ``width``, bins of equal width, or ``mass``, of about as many clips.
        accuracy: of all clips.
        confidence: mean over all clips; above the accuracy, the model is too sure.
        ece: mean over clips of the distance between confidence and accuracy of the
            clip's bin.
        ece_if_calibrated: mean ``ece`` of a model with the same confidences that is
            calibrated exactly: what so few clips give by chance.
        worst_gap: the largest such distance of a bin.
        bins: the reliability diagram.
    """

    task: str
    num_clips: int
    binning: str
    accuracy: float
    confidence: float
    ece: float
    ece_if_calibrated: float
    worst_gap: float
    bins: tuple[Bin, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        found = asdict(self)
        found["bins"] = [
            {**asdict(one), "accuracy": one.accuracy and one.accuracy._asdict()}
            for one in self.bins
        ]
        return found


def calibration(
    found: Answers, *, num_bins: int = NUM_BINS, binning: str = "width"
) -> Calibration:
    """Compare the probability of each answer with how often such answers are right.

    Args:
        found: answers of a model that gives probabilities.
        num_bins: bins between 0 and 100 %.
        binning: ``width``, the usual one; ``mass`` is steadier where nearly every clip
            has a confidence near 100 %. Clips of the same confidence share a bin, so
            that it may then have fewer bins.

    Raises:
        ValueError: scores that are not probabilities, or an unknown binning.
    """
    check_choice("binning", binning, BINNINGS)
    if num_bins < 1:
        raise InputError(f"num_bins is {num_bins}, expected 1 or more")
    sure, right = found.confidence, found.correct
    if not found.are_probabilities:
        place = int(np.abs(sure - 0.5).argmax())
        raise InputError(
            f"the score of {found.task!r} of {found.ids[place]!r:.80} is"
            f" {sure[place]:g}; calibration needs probabilities, 0 to 1"
        )
    edges = _edges(sure, num_bins, binning)
    size = len(edges) - 1
    bin_of = np.digitize(sure, edges[1:-1], right=True)  # (n,)
    gaps = _gaps(sure[None], right[None], bin_of, size)  # (1, bins)
    num_draws = max(1, min(_NUM_DRAWS, _NUM_CELLS // len(sure)))
    draws = np.random.default_rng(0).random((num_draws, len(sure))) < sure
    chance = _gaps(sure[None], draws, bin_of, size)  # (draws, bins)
    counts = np.bincount(bin_of, minlength=size)
    return Calibration(
        task=found.task,
        num_clips=len(sure),
        binning=binning,
        accuracy=100.0 * float(right.mean()),
        confidence=100.0 * float(sure.mean()),
        ece=100.0 * float(gaps.sum()),
        ece_if_calibrated=100.0 * float(chance.sum(axis=1).mean()),
        worst_gap=100.0 * float((gaps[0] * len(sure) / counts.clip(1)).max()),
        bins=tuple(_bins(sure, right, bin_of, edges)),
    )


def format_calibration(found: Calibration) -> str:
    """One line: the error, what chance gives, and the direction."""
    gap = found.confidence - found.accuracy
    lean = f"{abs(gap):.1f} points too {'sure' if gap > 0 else 'unsure'}"
    return (
        f"{found.task}: calibration error (ECE) {found.ece:.2f} %, of a calibrated"
        f" model {found.ece_if_calibrated:.2f} on so many clips; on average {lean}"
    )


def _edges(sure: NDArray, num_bins: int, binning: str) -> NDArray[np.float64]:
    """(bins + 1,) ascending edges over 0 to 1."""
    shares = np.linspace(0.0, 1.0, num_bins + 1)
    if binning == "width":
        return shares
    inner = np.unique(np.quantile(sure, shares[1:-1], method="inverted_cdf"))
    return np.array([0.0, *inner[inner < sure.max()], 1.0])


def _gaps(sure: NDArray, right: NDArray, place: NDArray, size: int) -> NDArray:
    """(draws, bins) distance of the means, times the share of clips in the bin."""
    member = np.zeros((len(place), size))
    member[np.arange(len(place)), place] = 1
    return np.abs((sure - right) @ member) / len(place)


def _bins(
    sure: NDArray, right: NDArray, place: NDArray, edges: NDArray
) -> Iterator[Bin]:
    for number in range(len(edges) - 1):
        inside = place == number
        count, hits = int(inside.sum()), int(right[inside].sum())
        yield Bin(
            100.0 * float(edges[number]),
            100.0 * float(edges[number + 1]),
            count,
            100.0 * float(sure[inside].mean()) if count else None,
            wilson_interval(hits, count) if count else None,
        )
