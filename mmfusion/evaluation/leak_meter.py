"""The leak meter: how much of the answer can be read off the questions alone.

A question written from a clip's label tells it by its wording, even where the word
itself is masked ("What should you consume to quench your thirst?"). A text-only
classifier shows how much: multinomial logistic regression on words and pairs of words,
trained on the training split's questions of the same source and scored on the
questions that a model was evaluated with. It sees no video, so all that it reaches
above the majority level came through the text. It is a lower bound: a larger text
model may read more.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from mmfusion.utils.errors import InputError

_WORD = re.compile(r"<mask>|\w+")
_NUM_FEATURES = 10_000  # words and pairs that most questions have
_L2 = 1e-4
_MAX_ITERATIONS = 20  # of L-BFGS; 300 classes on 20,000 questions take 5 s


@dataclass(frozen=True)
class AskedClips:
    """The questions about n clips, and what would have been right.

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
    """What the text alone gives, percent of n clips.

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
    seed: int = 0,
) -> dict[str, Leak]:
    """What of ``verb``, ``noun`` and ``action`` the questions tell.

    Args:
        asked: the clips that a model was evaluated on.
        train: the training split, with questions of the same source. None reads each
            half of ``asked`` by a classifier trained on the other half.
        max_train: at most so many clips are learnt from, drawn at random.
        seed: of that draw, and of the halves.
    """
    rng = np.random.default_rng(seed)
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


def read_off(
    train_texts: Sequence[str], train_labels: NDArray[np.int64], texts: Sequence[str]
) -> NDArray[np.int64]:
    """The classes (m,) that a text-only classifier reads off ``texts``.

    Args:
        train_texts: n texts.
        train_labels: (n,) their classes.
        texts: m others.
    """
    classes, index = np.unique(train_labels, return_inverse=True)
    vocabulary = _vocabulary(train_texts)
    weights = _fit(_count(train_texts, vocabulary), index, len(classes))  # (f, k)
    return classes[(_count(texts, vocabulary) @ weights).argmax(axis=1)]


def _terms(text: str) -> set[str]:
    words = _WORD.findall(text.lower())
    pairs = zip(words, words[1:], strict=False)
    return {*words, *(f"{a} {b}" for a, b in pairs)}


def _vocabulary(texts: Sequence[str]) -> dict[str, int]:
    counts = Counter(term for text in texts for term in _terms(text))
    # by the term itself where counts are equal: the same file, the same figure
    best = sorted(counts, key=lambda term: (-counts[term], term))[:_NUM_FEATURES]
    return {term: place for place, term in enumerate(best)}


def _count(texts: Sequence[str], vocabulary: dict[str, int]) -> sparse.csr_matrix:
    """(n, f + 1) which terms a text has; the last column is one, for the bias."""
    places: list[int] = []
    starts = [0]
    for text in texts:
        places += sorted(vocabulary[t] for t in _terms(text) if t in vocabulary)
        places.append(len(vocabulary))
        starts.append(len(places))
    shape = (len(texts), len(vocabulary) + 1)
    ones = np.ones(len(places), np.float32)
    return sparse.csr_matrix((ones, np.array(places), np.array(starts)), shape)


def _fit(
    x: sparse.csr_matrix, label: NDArray[np.int64], num_classes: int
) -> NDArray[np.float32]:
    """Weights (f, k) of multinomial logistic regression on (n, f), by L-BFGS."""
    n, num_features = x.shape
    transposed, rows = x.T.tocsr(), np.arange(n)
    shape = (num_features, num_classes)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Mean cross entropy with its penalty, and the gradient."""
        weights = flat.reshape(shape).astype(np.float32)
        score = x @ weights  # (n, k)
        score -= score.max(axis=1, keepdims=True)
        own = score[rows, label]
        prob = np.exp(score, out=score)
        total = prob.sum(axis=1)
        value = (np.log(total) - own).mean() + _L2 / 2 * (weights**2).sum()
        prob /= total[:, None]
        prob[rows, label] -= 1.0
        gradient = transposed @ prob / n + _L2 * weights
        return float(value), gradient.ravel().astype(np.float64)

    found = optimize.minimize(
        loss,
        np.zeros(shape[0] * shape[1]),
        jac=True,
        method="L-BFGS-B",
        options=dict(maxiter=_MAX_ITERATIONS, maxcor=5),
    )
    return found.x.reshape(shape).astype(np.float32)


def _draw(clips: AskedClips, count: int, rng: np.random.Generator) -> AskedClips:
    if len(clips) <= count:
        return clips
    return clips.take(np.sort(rng.permutation(len(clips))[:count]))


def _commonest(labels: NDArray[np.int64]) -> np.int64:
    values, counts = np.unique(labels, return_counts=True)
    return values[counts.argmax()]
