"""Late fusion: the mean of what several models say of the same clips."""

from collections.abc import Sequence

import numpy as np

from mmfusion.evaluation.predictions import Predictions
from mmfusion.utils.errors import InputError


def late_fusion(parts: Sequence[Predictions]) -> Predictions:
    """Mean of the probabilities of several models, clip by clip and class by class.

    The sum would name the same classes. Nothing is weighted or scaled.

    Args:
        parts: one or more, of the same clips in any order.

    Returns:
        Predictions in the order of the first part, with the tasks that all score and
        the first one's metainfo.

    Raises:
        ValueError: other clips, labels or numbers of classes, no task that all score,
            or scores that are no probabilities.
    """
    first = parts[0]
    tasks = [task for task in first.score if all(task in one.score for one in parts)]
    if not tasks:
        raise InputError(
            f"late fusion of models of {[[*one.score] for one in parts]}; expected one"
            " task that all score"
        )
    aligned = [_in_order(one, first.ids) for one in parts]
    for task in tasks:
        for one in aligned:
            _check(one, aligned[0], task)
    mean = {
        task: np.mean([one.score[task] for one in aligned], axis=0) for task in tasks
    }
    return Predictions(first.ids, mean, first.gt, first.metainfo)


def _in_order(one: Predictions, ids: Sequence[str]) -> Predictions:
    places = {name: place for place, name in enumerate(one.ids)}
    if places.keys() != set(ids):
        raise InputError(
            f"late fusion of predictions of {len(ids)} and of {len(places)} clips, not"
            " the same ones; test both models on the same data"
        )
    order = [places[name] for name in ids]
    return Predictions(
        list(ids),
        {task: score[order] for task, score in one.score.items()},
        {task: labels[order] for task, labels in one.gt.items()},
        one.metainfo,
    )


def _check(one: Predictions, first: Predictions, task: str) -> None:
    score, expected = one.score[task], first.score[task]
    if score.shape != expected.shape:
        raise InputError(
            f"late fusion of {task!r} with {score.shape[1]} and"
            f" {expected.shape[1]} classes; expected the same"
        )
    none = np.empty(0, np.int64)
    if not np.array_equal(one.gt.get(task, none), first.gt.get(task, none)):
        raise InputError(f"late fusion: the labels of {task!r} differ between models")
    if (score < 0).any() or np.abs(score.sum(axis=1) - 1).max(initial=0) > 1e-3:
        raise InputError(
            f"late fusion: the scores of {task!r} do not sum to 1; expected"
            " probabilities, which can be added"
        )
