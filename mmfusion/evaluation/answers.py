"""Answers of a model: for each clip the class it names, and how sure it is.

``n`` clips, ``k`` classes. Probabilities are 0 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmfusion.evaluation.functional import predicted_classes
from mmfusion.evaluation.predictions import NO_LABEL, Predictions
from mmfusion.utils.errors import InputError

_PAIR = ("verb", "noun")


@dataclass(frozen=True)
class Answers:
    """One task of a file of predictions.

    Attributes:
        task: its name.
        ids: n clips.
        labels: (n,) int64.
        predicted: (n,) int64, the class of the highest score; where the label ties with
            another class, that other one.
        confidence: (n,) probability of ``predicted``.
        own: (n,) probability of the label.
        num_classes: k.
        class_names: k names, or those of verbs and of nouns where an action is a pair.
    """

    task: str
    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    own: NDArray[np.float64]
    num_classes: int
    class_names: tuple[tuple[str, ...], ...] = ()

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) True where the answer is the label."""
        return self.predicted == self.labels

    @property
    def are_probabilities(self) -> bool:
        """True if every score that is read lies in 0 to 1."""
        return bool(((self.confidence >= 0) & (self.confidence <= 1 + 1e-5)).all())

    def name(self, label: int) -> str:
        """The name of a class; its number where the file has no names."""
        if len(self.class_names) == 2:  # a verb and a noun
            verb, noun = divmod(label, len(self.class_names[1]))
            return f"{self.class_names[0][verb]} {self.class_names[1][noun]}"
        return self.class_names[0][label] if self.class_names else str(label)


def tasks_of(predictions: Predictions) -> list[str]:
    """Tasks that have scores and a label for every clip, in alphabetical order.

    An action of a verb and a noun is one, too.
    """
    labelled = {
        task for task, labels in predictions.gt.items() if (labels != NO_LABEL).all()
    }
    tasks = labelled & set(predictions.score)
    with_pair = set(_PAIR) <= tasks and "action" not in predictions.score
    return sorted(tasks | {"action"} if with_pair else tasks)


def answers(predictions: Predictions, task: str = "action") -> Answers:
    """The answers of a model for one task.

    An action that has no scores of its own is a verb with a noun: it is right where
    both are, and its class is ``verb * number of nouns + noun``.

    Raises:
        ValueError: no scores of the task, clips without a label, or labels that do not
            fit the scores.
    """
    if task in predictions.score:
        return _of_head(predictions, task)
    if task != "action" or not set(_PAIR) <= set(predictions.score):
        raise InputError(
            f"the model gives scores for {[*predictions.score]}, expected {task!r}"
            " (verb and noun give an action, too)"
        )
    verb, noun = (_of_head(predictions, part) for part in _PAIR)
    size = noun.num_classes
    names = (*verb.class_names, *noun.class_names)
    return Answers(
        task,
        verb.ids,
        verb.labels * size + noun.labels,
        verb.predicted * size + noun.predicted,
        verb.confidence * noun.confidence,
        verb.own * noun.own,
        verb.num_classes * size,
        names if len(names) == 2 else (),
    )


def _of_head(predictions: Predictions, task: str) -> Answers:
    score = predictions.score[task].astype(np.float64)  # (n, k)
    labels = predictions.labels(task)
    predicted = predicted_classes(score, labels)
    rows = np.arange(len(score))
    return Answers(
        task,
        tuple(predictions.ids),
        labels,
        predicted,
        score[rows, predicted],
        score[rows, labels],
        score.shape[1],
        _names(predictions, task, score.shape[1]),
    )


def _names(
    predictions: Predictions, task: str, num_classes: int
) -> tuple[tuple[str, ...], ...]:
    """The names of a task's classes, or none where the file has none.

    A class beyond the names is named by its number.
    """
    by_task = predictions.metainfo.get("classes")
    found = by_task.get(task) if isinstance(by_task, dict) else None
    if found is None:
        return ()
    is_list = isinstance(found, Sequence) and not isinstance(found, str)
    if not is_list or len(found) > num_classes:
        count = f"{len(found)} names" if is_list else f"{found!r:.40}"
        raise InputError(
            f"metainfo.classes has {count} for {task!r}, the scores have {num_classes}"
            " classes; expected a name for each"
        )
    names = [str(name) for name in found]
    return ((*names, *map(str, range(len(names), num_classes))),)
