"""Best scores of every moment of the kitchen's films, for what each stream can tell.

As in kitchen_ceilings.py a stream shows a symbol of the action, and nothing else of it;
here at every moment of the action, as if it were known from the first frame on, and
where there is none that is seen. An online model, which has to wait for
the action to show, is a little worse.

Actions that look alike are put into a random order. Average precision rewards that: of
two, one of them right, either order gives 75 % in the mean, a tie only 50. So a ceiling
is the mean over orders, and luck may lift a model's score on one split above it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mmfusion.utils.errors import InputError

from .actions import Action
from .kitchen import ACTIONS, NOUNS, VERBS
from .kitchen_ceilings import recognition_channels

NUM_CLASSES = {"verb": len(VERBS), "noun": len(NOUNS), "action": len(ACTIONS)}
_ORDER = 1e-4
Segments = Sequence[Sequence[Any]]  # [start, end, {task: class}]


def _action(label: Mapping[str, int]) -> Action:
    return ACTIONS[len(NOUNS) * label["verb"] + label["noun"]]


class KnownLook:
    """Scores of a model that knows at every moment all that a stream shows.

    Args:
        segments: of all films that are measured; how often a look is which class.
        stream: ``video``, ``skeleton`` or ``both``.
        seed: of the order of actions that look alike.

    Example:
        >>> known = KnownLook([[0.0, 1.0, {"verb": 0, "noun": 0}]], "video")
        >>> known.scores([[0.0, 1.0, {"verb": 0, "noun": 0}]], np.zeros(1))["verb"][0]
        array([1., 0., 0., 0., 0., 0., 0.], dtype=float32)
    """

    def __init__(self, segments: Segments, stream: str, seed: int = 0) -> None:
        channels = recognition_channels()
        if stream not in channels:
            raise InputError(f"stream is {stream!r}; expected one of {[*channels]}")
        self._symbol: Callable[[Action], Any] = lambda a: next(
            iter(channels[stream](a))
        )
        self._rng = np.random.default_rng(seed)
        self._table: dict[tuple[str, Any], np.ndarray] = {}
        for start, end, label in segments:
            own = {**label, "action": _action(label).index}
            for task, count in NUM_CLASSES.items():
                key = (task, self._symbol(_action(label)))
                row = self._table.setdefault(key, np.zeros(count + 1))
                row[own[task]] += end - start

    def scores(self, segments: Segments, moments: np.ndarray) -> dict[str, np.ndarray]:
        """Scores (t, k + 1) by task at moments (t,) of a film; background the last."""
        found = {}
        for task, count in NUM_CLASSES.items():
            score = np.zeros((len(moments), count + 1), np.float32)
            score[:, -1] = 1
            for start, end, label in segments:
                row = self._table[task, self._symbol(_action(label))]
                # less than any share of a class differs from another
                order = 1 - _ORDER * self._rng.random(len(row))
                during = (moments >= start - 1e-6) & (moments < end - 1e-6)
                score[during] = row / row.sum() * order
            found[task] = score
        return found
