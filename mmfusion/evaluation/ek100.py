"""EPIC-KITCHENS-100's numbers: recognition (challenge C1), anticipation (C3).

Pure functions on NumPy arrays: ``n`` segments, ``v`` verbs, ``k`` nouns, ``a`` actions.
Every result is a percentage with its 95 % interval over videos. Equal to the official
evaluators (epic-kitchens/C1-Action-Recognition, C3-Action-Anticipation), except that a
tie counts against the label, where theirs counts by the order of a sort.

An action is a pair. Its score is the verb's plus the noun's, both logits or logarithms
of probabilities: the product rule of both challenges, which cannot underflow. A model
with an action head has scores of its own actions instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmfusion.evaluation.functional import (
    Interval,
    bootstrap_interval,
    topk_correct,
)
from mmfusion.utils.errors import InputError

TASKS = ("verb", "noun", "action")
_PAIR_BASE = 1000  # official id of an action: 1000 * verb + noun


@dataclass(frozen=True)
class Segments:
    """Truth about n segments.

    Attributes:
        verb: (n,) int64 classes.
        noun: (n,) int64 classes.
        video: (n,) names; the bootstrap draws videos.
        participant: (n,) names.
    """

    verb: NDArray[np.int64]
    noun: NDArray[np.int64]
    video: NDArray[np.str_]
    participant: NDArray[np.str_]

    def labels(self, task: str) -> NDArray[np.int64]:
        """(n,) classes; an action has the official id."""
        if task == "action":
            return self.verb * _PAIR_BASE + self.noun
        return self.verb if task == "verb" else self.noun


@dataclass(frozen=True)
class Subsets:
    """The segments that have numbers of their own.

    Attributes:
        tail_verbs: rare classes; an action is rare if its verb or its noun is.
        tail_nouns: rare classes.
        unseen_participants: who has no video in the training split.
    """

    tail_verbs: frozenset[int] = frozenset()
    tail_nouns: frozenset[int] = frozenset()
    unseen_participants: frozenset[str] = frozenset()

    def masks(self, segments: Segments) -> dict[str, dict[str, NDArray[np.bool_]]]:
        """``{subset: {task: (n,) bool}}`` for ``unseen`` and ``tail``."""
        unseen = np.isin(segments.participant, sorted(self.unseen_participants))
        verb = np.isin(segments.verb, sorted(self.tail_verbs))
        noun = np.isin(segments.noun, sorted(self.tail_nouns))
        return {
            "unseen": dict.fromkeys(TASKS, unseen),
            "tail": {"verb": verb, "noun": noun, "action": verb | noun},
        }


@dataclass(frozen=True)
class Scores:
    """Scores of a model for n segments, on a logarithmic scale.

    Attributes:
        verb: (n, v) logits or log-probabilities.
        noun: (n, k).
        action: (n, a), of a model with an action head; None takes verb plus noun.
        pairs: (a, 2), verb and noun of each action; with ``action`` only.
    """

    verb: NDArray[np.floating]
    noun: NDArray[np.floating]
    action: NDArray[np.floating] | None = None
    pairs: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        sizes = {len(x) for x in (self.verb, self.noun, self.action) if x is not None}
        if len(sizes) != 1:
            raise InputError(
                f"Scores: of {sorted(sizes)} segments, expected one number"
            )
        if self.action is None:
            return
        expected = (self.action.shape[1], 2)
        if self.pairs is None or self.pairs.shape != expected:
            shape = None if self.pairs is None else self.pairs.shape
            raise InputError(f"Scores.pairs: got {shape}, expected {expected}")

    @property
    def num_actions(self) -> int:
        """Number of the actions that have a score."""
        if self.action is None:
            return self.verb.shape[1] * self.noun.shape[1]
        return self.action.shape[1]


def log_probabilities(prob: NDArray[np.floating]) -> NDArray[np.floating]:
    """Logarithm of (n, k) probabilities; those that underflowed to 0 stay finite."""
    return np.log(np.maximum(prob, np.finfo(prob.dtype).tiny))


def marginalise(
    action_prob: NDArray[np.floating],
    pairs: NDArray[np.int64],
    num_verbs: int,
    num_nouns: int,
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Verb (n, v) and noun (n, k) probabilities: sums over the actions that have them.

    Args:
        action_prob: (n, a).
        pairs: (a, 2), verb and noun of each action.
        num_verbs: v.
        num_nouns: k.
    """
    found = []
    for column, size in enumerate((num_verbs, num_nouns)):
        member = np.zeros((len(pairs), size), action_prob.dtype)
        member[np.arange(len(pairs)), pairs[:, column]] = 1
        found.append(action_prob @ member)
    return found[0], found[1]


def with_marginals(
    score: Mapping[str, NDArray[np.floating]],
    pairs: Sequence[Sequence[int]] | None,
    num_classes: Mapping[str, int],
) -> dict[str, NDArray[np.floating]]:
    """Probabilities of verb and noun beside those of a model with an action head only.

    Args:
        score: by task, (n, k) probabilities.
        pairs: (a, 2), verb and noun of each action; needed where actions are scored.
        num_classes: of ``verb`` and ``noun``.

    Raises:
        ValueError: not one pair for each action, or neither verb and noun nor action.
    """
    found = dict(score)
    if "action" in found:
        table = np.asarray(pairs or (), np.int64)
        count = found["action"].shape[1]
        if len(table) != count:
            raise InputError(
                f"there are scores of {count} actions, but the dataset's metainfo has"
                f" {len(table)} action_pairs (verb and noun of each); expected {count}"
            )
        if not {"verb", "noun"} <= set(found):
            sizes = [num_classes[task] for task in ("verb", "noun")]
            found["verb"], found["noun"] = marginalise(found["action"], table, *sizes)
    if not {"verb", "noun"} <= set(found):
        raise InputError(
            f"there are scores of {sorted(score)}; expected verb and noun, or action"
        )
    return found


def scores_of(
    score: Mapping[str, NDArray[np.floating]],
    pairs: Sequence[Sequence[int]] | None,
    num_classes: Mapping[str, int],
    *,
    with_head: bool = True,
) -> Scores:
    """Logarithms of the probabilities that a model gave.

    Args:
        score, pairs, num_classes: as :func:`with_marginals`.
        with_head: rank actions by the action head where there is one.
    """
    log = {
        task: log_probabilities(value)
        for task, value in with_marginals(score, pairs, num_classes).items()
    }
    if not with_head or "action" not in log:
        return Scores(log["verb"], log["noun"])
    return Scores(log["verb"], log["noun"], log["action"], np.array(pairs, np.int64))


def correct(scores: Scores, segments: Segments, task: str, k: int) -> NDArray[np.bool_]:
    """(n,) whether the label is among the k best of a task."""
    if task == "verb":
        return topk_correct(scores.verb, segments.verb, k)
    if task == "noun":
        return topk_correct(scores.noun, segments.noun, k)
    if scores.action is None:
        return pair_correct(scores.verb, scores.noun, segments.verb, segments.noun, k)
    assert scores.pairs is not None  # Scores has checked it
    index = action_index(scores.pairs, segments)
    known = index >= 0  # a pair that the head does not have is never right
    found = np.zeros(len(index), bool)
    if known.any():
        found[known] = topk_correct(scores.action[known], index[known], k)
    return found


def action_index(pairs: NDArray[np.int64], segments: Segments) -> NDArray[np.int64]:
    """(n,) place of each segment's pair among the (a, 2) of a head, -1 for none."""
    ids = pairs[:, 0] * _PAIR_BASE + pairs[:, 1]
    order = np.argsort(ids)
    wanted = segments.labels("action")
    place = order[np.searchsorted(ids, wanted, sorter=order).clip(max=len(ids) - 1)]
    return np.where(ids[place] == wanted, place, -1)


def pair_correct(
    verb_scores: NDArray[np.floating],
    noun_scores: NDArray[np.floating],
    verb: NDArray[np.int64],
    noun: NDArray[np.int64],
    k: int,
) -> NDArray[np.bool_]:
    """True where (verb, noun) is among the k best sums of all v * k pairs; no ties.

    The k best sums are made of the k best verbs and the k best nouns, so that of the
    29,100 pairs of EPIC-KITCHENS-100 only 25 are looked at for k = 5.

    Args:
        verb_scores: (n, v).
        noun_scores: (n, k).
        verb: (n,) labels.
        noun: (n,) labels.
        k: how many of the best pairs may hold the label.

    Returns:
        (n,) bool.
    """
    both = topk_correct(verb_scores, verb, k) & topk_correct(noun_scores, noun, k)
    rows = np.arange(len(verb))
    own = verb_scores[rows, verb].astype(np.float64) + noun_scores[rows, noun]  # (n,)
    grid = _best(verb_scores, k)[:, :, None] + _best(noun_scores, k)[:, None, :]
    return both & ((grid >= own[:, None, None]).sum(axis=(1, 2)) <= k)


def _best(scores: NDArray[np.floating], k: int) -> NDArray[np.float64]:
    """(n, m) the m <= k highest scores, in no order."""
    m = min(k, scores.shape[1])
    return np.partition(scores, -m, axis=1)[:, -m:].astype(np.float64)


def recognition(
    scores: Scores, segments: Segments, subsets: Subsets
) -> dict[str, Interval]:
    """C1: ``<task>/top1`` and ``top5``, and ``unseen/`` and ``tail/`` of top1.

    ``<task>/mean_class`` is the mean over the classes that have segments. A subset
    without segments has no entry.
    """
    found: dict[str, Interval] = {}
    masks = subsets.masks(segments)
    for task in TASKS:
        hits = {k: correct(scores, segments, task, k) for k in (1, 5)}
        for k, hit in hits.items():
            found[f"{task}/top{k}"] = bootstrap_interval(hit, segments.video)
        first, labels = hits[1], segments.labels(task)
        found[f"{task}/mean_class"] = bootstrap_interval(
            first, segments.video, classes=labels
        )
        for name, mask in _not_empty(masks, task):
            found[f"{name}/{task}/top1"] = bootstrap_interval(
                first[mask], segments.video[mask]
            )
    return found


def anticipation(
    scores: Scores, segments: Segments, subsets: Subsets, *, k: int = 5
) -> dict[str, Interval]:
    """C3: class-mean top-k recall, ``<task>/recall<k>``, ``unseen/`` and ``tail/`` too.

    The mean runs over the classes that are present in the subset.
    ``action/legacy_recall<k>`` is the looser rule of the public code of InAViT and
    MambaVL: verb among the k best verbs and noun among the k best nouns, k * k pairs
    instead of k. It is never below the official number.
    """
    found: dict[str, Interval] = {}
    masks = subsets.masks(segments)
    hits = {task: correct(scores, segments, task, k) for task in TASKS}
    for task, hit in hits.items():
        labels, video = segments.labels(task), segments.video
        found[f"{task}/recall{k}"] = bootstrap_interval(hit, video, classes=labels)
        for name, mask in _not_empty(masks, task):
            found[f"{name}/{task}/recall{k}"] = bootstrap_interval(
                hit[mask], video[mask], classes=labels[mask]
            )
    found[f"action/legacy_recall{k}"] = bootstrap_interval(
        hits["verb"] & hits["noun"], segments.video, classes=segments.labels("action")
    )
    return found


def _not_empty(
    masks: dict[str, dict[str, NDArray[np.bool_]]], task: str
) -> list[tuple[str, NDArray[np.bool_]]]:
    return [(name, mask[task]) for name, mask in masks.items() if mask[task].any()]
