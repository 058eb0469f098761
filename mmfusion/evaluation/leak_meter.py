"""The leak meter: how much of the answer can be read off the questions alone.

A question written from a clip's label tells it by its wording, even where the word
itself is masked ("What should you consume to quench your thirst?"). A text-only
classifier shows how much: multinomial logistic regression on words and pairs of words,
trained on the training split's questions of the same source and scored on the
questions that a model was evaluated with. It sees no video, so all that it reaches
above the majority level came through the text. It is a lower bound: a larger text
model may read more.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmfusion.utils.errors import InputError
from mmfusion.utils.optional import import_optional

_NUM_FEATURES = 10_000  # words and pairs that most questions have
_L2 = 1e-4
# of L-BFGS: on EPIC's 9,668 template questions 400 read fewer nouns (30.9 for 32.9 %)
_MAX_ITERATIONS = 20


@dataclass(frozen=True)
class AskedClips:
    """Questions about n clips, and their right answers.

    Attributes:
        verb_question: n texts, the verb head's.
        noun_question: n texts, the noun head's.
        verb: (n,) int64 classes.
        noun: (n,) int64 classes.
    """

    verb_question: Sequence[str]
    noun_question: Sequence[str]
    verb: NDArray[np.int64]
    noun: NDArray[np.int64]

    def __post_init__(self) -> None:
        sizes = {
            len(x)
            for x in (self.verb_question, self.noun_question, self.verb, self.noun)
        }
        if len(sizes) != 1 or 0 in sizes:
            raise InputError(
                f"AskedClips: of {sorted(sizes)} clips, expected one number above 0"
            )

    def __len__(self) -> int:
        return len(self.verb)

    def take(self, index: NDArray[np.int64]) -> "AskedClips":
        """The clips at (m,) places."""
        return AskedClips(
            [self.verb_question[i] for i in index],
            [self.noun_question[i] for i in index],
            self.verb[index],
            self.noun[index],
        )

    def labels(self, task: str) -> NDArray[np.int64]:
        """(n,) classes of ``verb``, ``noun`` or ``action`` (one number a pair)."""
        if task == "action":
            return self.verb * 1_000_000 + self.noun
        return self.verb if task == "verb" else self.noun


@dataclass(frozen=True)
class Leak:
    """Share that the text alone gives, percent of n clips.

    Attributes:
        accuracy: of the text-only classifier; an action is right where verb and noun
            are, each read off its own question.
        majority: of always answering the commonest class of the training split.
        chance: of drawing one of its classes.
    """

    accuracy: float
    majority: float
    chance: float


def measure_leak(
    asked: AskedClips,
    train: AskedClips | None = None,
    *,
    max_train: int = 20_000,
) -> dict[str, Leak]:
    """Leak of ``verb``, ``noun`` and ``action`` in the questions.

    Args:
        asked: the clips that a model was evaluated on.
        train: the training split, with questions of the same source. None reads each
            half of ``asked`` by a classifier trained on the other half.
        max_train: at most so many clips are learnt from, drawn at random.
    """
    rng = np.random.default_rng(0)
    if train is not None:
        parts = [(_draw(train, max_train, rng), asked)]
    else:
        order = rng.permutation(len(asked))
        halves = [asked.take(np.sort(half)) for half in np.array_split(order, 2)]
        parts = [(halves[0], halves[1]), (halves[1], halves[0])]
    right: dict[str, list[NDArray]] = {"verb": [], "noun": [], "action": []}
    majority: dict[str, list[NDArray]] = {task: [] for task in right}
    for known, new in parts:
        verb = read_off(known.verb_question, known.verb, new.verb_question)
        noun = read_off(known.noun_question, known.noun, new.noun_question)
        right["verb"].append(verb == new.verb)
        right["noun"].append(noun == new.noun)
        right["action"].append((verb == new.verb) & (noun == new.noun))
        for task, hits in majority.items():
            commonest = _commonest(known.labels(task))
            hits.append(new.labels(task) == commonest)
    return {
        task: Leak(
            100.0 * float(np.concatenate(right[task]).mean()),
            100.0 * float(np.concatenate(majority[task]).mean()),
            100.0 / len(np.unique((train or asked).labels(task))),
        )
        for task in right
    }


def import_sklearn(module: str) -> Any:
    """Import a module of scikit-learn, which is optional."""
    return import_optional(f"sklearn.{module}", "leak meters")


def read_off(
    train_texts: Sequence[str], train_labels: NDArray[np.int64], texts: Sequence[str]
) -> NDArray[np.int64]:
    """Classes (m,) that a text-only classifier reads off ``texts``.

    Args:
        train_texts: n texts.
        train_labels: (n,) their classes.
        texts: m others.
    """
    if len(np.unique(train_labels)) == 1:  # nothing to tell apart
        return np.full(len(texts), train_labels[0])
    words = import_sklearn("feature_extraction.text").CountVectorizer(
        binary=True,
        ngram_range=(1, 2),
        token_pattern=r"<mask>|\w+",
        max_features=_NUM_FEATURES,
        dtype=np.float32,
    )
    regression = import_sklearn("linear_model").LogisticRegression(
        C=1 / (_L2 * len(train_texts)), max_iter=_MAX_ITERATIONS
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it stops early, and says so
        regression.fit(words.fit_transform(train_texts), train_labels)
    return regression.predict(words.transform(texts))


def _draw(clips: AskedClips, count: int, rng: np.random.Generator) -> AskedClips:
    if len(clips) <= count:
        return clips
    return clips.take(np.sort(rng.permutation(len(clips))[:count]))


def _commonest(labels: NDArray[np.int64]) -> np.int64:
    values, counts = np.unique(labels, return_counts=True)
    return values[counts.argmax()]
