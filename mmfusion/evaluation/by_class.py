"""Accuracy by class and the confusion matrix of a task.

``n`` clips, ``c`` classes that a clip has or was taken for. Accuracies are percent.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmfusion.evaluation.answers import Answers
from mmfusion.evaluation.functional import Interval, wilson_interval


@dataclass(frozen=True)
class ClassRow:
    """One class of a test.

    Attributes:
        index: its number.
        name: its name.
        num_clips: clips of this class.
        num_answers: clips that were taken for it, rightly or not.
        accuracy: share of its clips that are right (recall) with Wilson's interval;
            None without clips.
        precision: share of its answers that are right; None without answers.
        taken_for: the class that most of its wrong clips were taken for, None where
            all are right.
        num_taken: so many of them.
    """

    index: int
    name: str
    num_clips: int
    num_answers: int
    accuracy: Interval | None
    precision: float | None
    taken_for: str | None
    num_taken: int


@dataclass(frozen=True)
class Confusion:
    """Clips of one class that were taken for another.

    Attributes:
        label: the class they have.
        answer: the class they were taken for.
        num_clips: so many.
    """

    label: str
    answer: str
    num_clips: int


@dataclass(frozen=True)
class ClassReport:
    """Confusion matrix and accuracy by class of one task.

    Attributes:
        task: its name.
        num_clips: n.
        classes: (c,) numbers of the classes that occur, ascending.
        names: their c names.
        counts: (c, c) clips; a row is the class they have, a column what they were
            taken for.
    """

    task: str
    num_clips: int
    classes: NDArray[np.int64]
    names: tuple[str, ...]
    counts: NDArray[np.int64]

    @property
    def rows(self) -> list[ClassRow]:
        """Every class that occurs, by its number."""
        return [self._row(place) for place in range(len(self.classes))]

    @property
    def accuracy(self) -> Interval:
        """Top-1 of all clips."""
        return wilson_interval(int(np.trace(self.counts)), self.num_clips)

    @property
    def mean_class(self) -> float:
        """Mean of the accuracies of the classes that have clips."""
        clips = self.counts.sum(axis=1)
        return 100.0 * float((self.counts.diagonal() / clips.clip(1))[clips > 0].mean())

    def worst(self, count: int = 5) -> list[ClassRow]:
        """Classes with the lowest accuracy under 100 %, of equal ones the larger."""
        wrong = [row for row in self.rows if row.accuracy and row.accuracy.mean < 100]
        key = {id(row): row.accuracy.mean for row in wrong if row.accuracy}
        return sorted(wrong, key=lambda row: (key[id(row)], -row.num_clips))[:count]

    def confusions(self, count: int | None = None) -> list[Confusion]:
        """The wrong cells of the matrix, the fullest first."""
        wrong = self.counts - np.diag(self.counts.diagonal())
        labels, answers = np.nonzero(wrong)
        found = [
            Confusion(self.names[i], self.names[j], int(wrong[i, j]))
            for i, j in zip(labels, answers, strict=True)
        ]
        return sorted(found, key=lambda one: -one.num_clips)[:count]

    def as_dict(self) -> dict[str, Any]:
        """Plain values: ``classes``, and the matrix's cells that are not 0."""
        rows = []
        for row in self.rows:
            one: dict[str, Any] = dict(vars(row))
            one["accuracy"] = None if row.accuracy is None else row.accuracy._asdict()
            rows.append(one)
        places = zip(*np.nonzero(self.counts), strict=True)
        cells = [
            [int(self.classes[i]), int(self.classes[j]), int(self.counts[i, j])]
            for i, j in places
        ]
        return {
            "num_clips": self.num_clips,
            "accuracy": self.accuracy._asdict(),
            "mean_class": self.mean_class,
            "classes": rows,
            "confusion": {"columns": ["label", "answer", "num_clips"], "cells": cells},
        }

    def _row(self, place: int) -> ClassRow:
        counts, name = self.counts[place], self.names[place]
        clips, answers = int(counts.sum()), int(self.counts[:, place].sum())
        right = int(counts[place])
        wrong = counts.copy()
        wrong[place] = 0
        most = int(wrong.argmax())
        return ClassRow(
            index=int(self.classes[place]),
            name=name,
            num_clips=clips,
            num_answers=answers,
            accuracy=wilson_interval(right, clips) if clips else None,
            precision=100.0 * right / answers if answers else None,
            taken_for=self.names[most] if wrong[most] else None,
            num_taken=int(wrong[most]),
        )


def class_report(found: Answers) -> ClassReport:
    """Confusion matrix of a task over the classes that occur in it."""
    # MMAction2's function of that purpose counts ties by the order of classes, and a
    # cell for each pair of classes: 8e8 of them where an action is a verb with a noun
    classes, places = np.unique(
        np.stack([found.labels, found.predicted]), return_inverse=True
    )
    size = len(classes)
    cell = np.ravel_multi_index(tuple(places.reshape(2, -1)), (size, size))
    counts = np.bincount(cell, minlength=size**2).reshape(size, size)
    names = tuple(found.name(int(one)) for one in classes)
    return ClassReport(found.task, len(found.ids), classes, names, counts)


def format_worst(report: ClassReport, count: int = 5) -> str:
    """The worst classes as a short table, or one line where all are right."""
    worst = report.worst(count)
    of = int((report.counts.sum(axis=1) > 0).sum())
    head = (
        f"{report.task}: {report.num_clips} clips of {of} classes,"
        f" mean class {report.mean_class:.2f} %"
    )
    if not worst:
        return f"{head}; every class is right"
    width = max(len("class"), *(len(_short(row.name)) for row in worst))
    lines = [f"{head}; the worst classes:"]
    lines += [f"  {'class':<{width}}  clips  right (95 %)            mostly taken for"]
    for row in worst:
        assert row.accuracy is not None
        mean, low, high = row.accuracy
        right = f"{mean:.1f} ({low:.1f} to {high:.1f})"
        taken = f"{_short(row.taken_for or '')} ({row.num_taken})"
        lines.append(
            f"  {_short(row.name):<{width}}  {row.num_clips:>5}  {right:<22}  {taken}"
        )
    return "\n".join(lines)


def _short(name: str, most: int = 40) -> str:
    return name if len(name) <= most else f"{name[: most - 3]}..."
