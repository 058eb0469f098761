"""Best accuracies of the kitchen's actions: from the clip, from words, beforehand.

A stream is a channel: given the action, it shows one of some symbols with known
probabilities, and nothing else that depends on the action (the renderer never sees the
noun, only its look; tests prove it). The best answer to a symbol is the likeliest
class, so the ceiling is a sum. It is an expectation over the world, for the labels of
the very split: luck may lift a model's score on one split a little above it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import product
from typing import Any

from mmfusion.utils.errors import InputError

from .actions import Action
from .kitchen import (
    ACTIONS,
    CUE_RIGHT,
    NOUN_LOOKS,
    NOUNS,
    VERB_LOOKS,
    VERBS,
    clue,
    noun_look,
)
from .kitchen_questions import RECOGNISER

TAU_A = 1.0  # seconds between what is seen and the action
TASKS = ("action", "verb", "noun")
Symbols = Mapping[Any, float]  # what is shown, with its probability
Channel = Callable[[Action], Symbols]
Shown = tuple[Action, Symbols]
_NOTHING: Symbols = {None: 1.0}

_CLASS: dict[str, Callable[[Action], Hashable]] = {
    "action": lambda action: action.index,
    "verb": lambda action: action.verb.name,
    "noun": lambda action: action.noun,
}


def _shows(*parts: Callable[[Action], Hashable]) -> Channel:
    """A channel without errors."""
    return lambda action: {tuple(part(action) for part in parts): 1.0}


def _verb_look(action: Action) -> Hashable:
    return action.verb.look


def _noun_look(action: Action) -> Hashable:
    return noun_look(action).name


_VIDEO = (_verb_look, _noun_look)
_SKELETON = (_CLASS["verb"],)
_WORDS: dict[str, tuple[Callable[[Action], Hashable], ...]] = {
    "generic": (),
    "informative": (clue,),
    "ground_truth": (_CLASS["verb"], _CLASS["noun"]),
}


def _noisy(right: Hashable, every: Sequence[Hashable], share: float) -> dict:
    """The right symbol with probability ``share``, else any other."""
    wrong = (1 - share) / (len(every) - 1)
    return {one: share if one == right else wrong for one in every}


def _both(first: Mapping, second: Mapping) -> dict:
    """Two independent channels."""
    return {(a, b): first[a] * second[b] for a, b in product(first, second)}


def _predicted(action: Action) -> dict:
    """Answer of the simulated recogniser for an action."""
    verbs = [verb.name for verb in VERBS]
    return _both(
        _noisy(action.verb.name, verbs, RECOGNISER),
        _noisy(action.noun, NOUNS, RECOGNISER),
    )


def _cue(action: Action) -> dict:
    """Content of the pause before an action."""
    return _both(
        _noisy(action.verb.look, VERB_LOOKS, CUE_RIGHT),
        _noisy(noun_look(action).name, NOUN_LOOKS, CUE_RIGHT),
    )


def recognition_channels() -> dict[str, Channel]:
    """Content of each stream, and each mix of streams, for an action that is seen."""
    media = {"video": _VIDEO, "skeleton": _SKELETON, "both": _VIDEO + _SKELETON}
    channels = {name: _shows(*parts) for name, parts in media.items()}
    for before, seen in (("text_", ()), *((f"{k}+", v) for k, v in media.items())):
        for source, said in _WORDS.items():
            channels[before + source] = _shows(*seen, *said)
        channels[f"{before}predicted"] = _with(_shows(*seen), _predicted)
    return channels


def _with(first: Channel, second: Channel) -> Channel:
    return lambda action: _both(first(action), second(action))


def anticipation_channels() -> dict[str, Channel]:
    """Content of the pause, and of the pause with a question that knows the clue."""
    return {"video": _cue, "video+informative": _with(_cue, _shows(clue))}


def top1_ceiling(clips: Sequence[Shown], task: str) -> float:
    """Percent right of the likeliest class given each symbol."""
    weight: dict[Hashable, dict[Hashable, float]] = defaultdict(
        lambda: defaultdict(float)
    )
    for action, symbols in clips:
        for symbol, probability in symbols.items():
            weight[symbol][_CLASS[task](action)] += probability
    best = sum(max(one.values()) for one in weight.values())
    return round(100.0 * best / len(clips), 6)


def recall_ceiling(clips: Sequence[Shown], task: str, k: int = 5) -> float:
    """Best class-mean top-k recall, percent, over the classes that occur.

    Each symbol is best answered with the k classes that show it most often.
    """
    members = Counter(_CLASS[task](action) for action, _ in clips)
    weight: dict[Hashable, dict[Hashable, float]] = defaultdict(
        lambda: defaultdict(float)
    )
    for action, symbols in clips:
        name = _CLASS[task](action)
        for symbol, probability in symbols.items():
            weight[symbol][name] += probability / members[name]
    best = sum(sum(sorted(one.values())[-k:]) for one in weight.values())
    return round(100.0 * best / len(members), 6)


def kitchen_ceilings(contents: Sequence[tuple[int, bool]]) -> dict[str, Any]:
    """All ceilings of one split.

    Args:
        contents: of every clip its action's index, and whether there is a pause before
            it in which to look ahead.

    Returns:
        Percent top-1 by task and stream; under ``anticipation`` those of a window that
        ends TAU_A before the start: ``top1`` and ``class_mean_recall5``, each with
        ``chance``, which is what the best constant answer gets.

    Raises:
        ValueError: there are no clips.
    """
    if not contents:
        raise InputError("no clips: a ceiling needs at least one")
    actions = [ACTIONS[index] for index, _ in contents]
    result: dict[str, Any] = {
        task: {
            name: top1_ceiling([(a, channel(a)) for a in actions], task)
            for name, channel in recognition_channels().items()
        }
        for task in TASKS
    }
    ahead = {
        name: [
            (ACTIONS[index], channel(ACTIONS[index]) if room else dict(_NOTHING))
            for index, room in contents
        ]
        for name, channel in anticipation_channels().items()
    }
    ahead["chance"] = [(action, dict(_NOTHING)) for action in actions]
    result["anticipation"] = {
        "tau_a": TAU_A,
        "cue_right": 100.0 * CUE_RIGHT,
        "without_room": sum(not room for _, room in contents),
        "top1": {
            task: {name: top1_ceiling(clips, task) for name, clips in ahead.items()}
            for task in TASKS
        },
        "class_mean_recall5": {
            task: {name: recall_ceiling(clips, task) for name, clips in ahead.items()}
            for task in TASKS
        },
    }
    result["recogniser"] = 100.0 * RECOGNISER
    return result
