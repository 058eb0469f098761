"""Several models on the same clips: which clips only one of them gets right.

``m`` models, ``n`` clips.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmfusion.evaluation.answers import Answers, answers
from mmfusion.evaluation.predictions import Predictions
from mmfusion.utils.errors import InputError


@dataclass(frozen=True)
class ModelAnswer:
    """Answer of one model to one clip.

    Attributes:
        answer: name of the class that it gives.
        correct: True if that is the label.
        confidence: probability of the answer, percent.
        own: probability of the label, percent.
    """

    answer: str
    correct: bool
    confidence: float
    own: float


@dataclass(frozen=True)
class ClipAnswers:
    """Answers of all models to one clip.

    Attributes:
        id: of the clip.
        label: name of its class.
        models: by model.
    """

    id: str
    label: str
    models: dict[str, ModelAnswer]

    @property
    def right(self) -> tuple[str, ...]:
        """The models that are right."""
        return tuple(name for name, one in self.models.items() if one.correct)


@dataclass(frozen=True)
class ClipTable:
    """Answers of m models to the same n clips, in the order of the first.

    Attributes:
        task: of the answers.
        models: m names.
        answers: by model, every one with the same ids and labels.
    """

    task: str
    models: tuple[str, ...]
    answers: dict[str, Answers]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def ids(self) -> tuple[str, ...]:
        """The n clips."""
        return self.answers[self.models[0]].ids

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(m, n) True where a model is right."""
        return np.stack([self.answers[name].correct for name in self.models])

    def clip(self, place: int) -> ClipAnswers:
        """The clip at a place of ``ids``."""
        first = self.answers[self.models[0]]
        return ClipAnswers(
            first.ids[place],
            first.name(int(first.labels[place])),
            {
                name: ModelAnswer(
                    one.name(int(one.predicted[place])),
                    bool(one.correct[place]),
                    100.0 * float(one.confidence[place]),
                    100.0 * float(one.own[place]),
                )
                for name, one in self.answers.items()
            },
        )

    def only_right(self, model: str, *, among: tuple[str, ...] = ()) -> list[int]:
        """Places of the clips that this model alone gets right, the surest first.

        Args:
            model: its name.
            among: the models to look at; all of them by default.

        Raises:
            ValueError: an unknown model.
        """
        names = among or self.models
        unknown = {model, *names} - set(self.models)
        if unknown:
            raise InputError(f"no models {sorted(unknown)}; there are {self.models}")
        others = [self.answers[name].correct for name in names if name != model]
        own = self.answers[model]
        alone = own.correct & ~np.any([np.zeros(len(self), bool), *others], axis=0)
        places = np.flatnonzero(alone)
        return places[np.argsort(-own.own[places], kind="stable")].tolist()

    def none_right(self) -> list[int]:
        """Places of the clips that no model gets right, the worst first."""
        return [place for place in self.worst() if not self.correct[:, place].any()]

    def worst(self, count: int | None = None, *, model: str | None = None) -> list[int]:
        """Places of wrong clips, those first whose label has the least probability.

        Args:
            count: at most so many.
            model: whose; None takes the mean over models, and clips that at least one
                of them gets wrong.
        """
        names = self.models if model is None else (model,)
        own = np.mean([self.answers[name].own for name in names], axis=0)
        right = np.all([self.answers[name].correct for name in names], axis=0)
        order = np.argsort(own, kind="stable")
        return order[~right[order]][:count].tolist()

    def counts(self) -> dict[tuple[str, ...], int]:
        """Number of clips by the set of models that get them right, the most first."""
        found: dict[tuple[str, ...], int] = {}
        for column in self.correct.T:
            names = tuple(n for n, ok in zip(self.models, column, strict=True) if ok)
            found[names] = found.get(names, 0) + 1
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def compare_clips(dumps: Mapping[str, Predictions], task: str = "action") -> ClipTable:
    """Put the predictions of several models beside each other, clip by clip.

    Args:
        dumps: by the model's name; each of the same clips, in any order.
        task: as of :func:`answers`.

    Raises:
        ValueError: no dump, or one of other clips, labels or classes than the first;
            the message names both and the first clip that differs.
    """
    if not dumps:
        raise InputError("compare_clips: no predictions, expected those of a model")
    found: dict[str, Answers] = {}
    for name, one in dumps.items():
        own = answers(one, task)
        if found:
            first_name, first = next(iter(found.items()))
            own = _in_order_of(first, own, f"{name!r} and {first_name!r}")
        found[name] = own
    return ClipTable(task, tuple(found), found)


def _in_order_of(first: Answers, other: Answers, names: str) -> Answers:
    """The same answers, in another order."""
    place = {clip: index for index, clip in enumerate(other.ids)}
    lacking = [clip for clip in first.ids if clip not in place]
    more = sorted(set(other.ids) - set(first.ids))
    if lacking or more:
        raise InputError(
            f"{names} were not tested on the same clips: {len(lacking)} are only in"
            f" the second, {len(more)} only in the first, such as"
            f" {[*lacking, *more][0]!r:.80}; test both on the same split"
        )
    order = np.array([place[clip] for clip in first.ids])
    labels = other.labels[order]
    if other.num_classes != first.num_classes or other.class_names != first.class_names:
        raise InputError(
            f"{names} do not have the same classes of {first.task!r}"
            f" ({other.num_classes} and {first.num_classes}); test both on the same"
            " data"
        )
    differs = np.flatnonzero(labels != first.labels)
    if differs.size:
        at = int(differs[0])
        raise InputError(
            f"{names} do not agree on the label of {differs.size} clips, such as"
            f" {first.ids[at]!r:.80}: {labels[at]} and {first.labels[at]}; test both on"
            " the same annotation"
        )
    arrays: dict[str, Any] = {
        key: getattr(other, key)[order] for key in ("predicted", "confidence", "own")
    }
    return Answers(
        other.task,
        first.ids,
        labels,
        num_classes=other.num_classes,
        class_names=other.class_names,
        **arrays,
    )
