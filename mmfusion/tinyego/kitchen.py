"""TinyEgo's kitchen: long films with pauses, in which actions announce themselves.

Here two things hide from the camera: which way the fingers of a twist go (the hands
tell, as everywhere in TinyEgo), and what a container holds. Two nouns that share a
look are a sweet and a savoury thing in the same wrapping; nothing but words can tell
them apart. Before an action, in the pause, stand the object that comes and hands at
rest in a manner that belongs to the verb: with probability CUE_RIGHT each is the right
one, else another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mmfusion.utils.errors import InputError

from .actions import Action, Verb
from .plan import SPLITS, ClipPlan, Cue, SequencePlan, WorldConfig

FPS = 10
CUE_RIGHT = 0.8  # of the verb's look and, independently, of the noun's
CLUES = ("sweet", "savoury")  # the hidden half of a noun


@dataclass(frozen=True)
class NounLook:
    """Look of two nouns, which differ in what is inside.

    Args:
        name: of the look.
        shape: a shape of `workplace.paint_shape`.
        hue: turns of the colour circle away from that shape's own colours.
        nouns: the sweet and the savoury one, as words.
        share: of all actions.
    """

    name: str
    shape: str
    hue: float
    nouns: tuple[str, str]
    share: float


VERBS = (
    Verb("grab", look="grab"),
    Verb("place", look="place"),
    Verb("open", look="twist"),
    Verb("close", look="twist"),
    Verb("pour", look="pour"),
    Verb("press", look="press"),
)
VERB_SHARES = (0.23, 0.09, 0.18, 0.18, 0.23, 0.09)
LOOKS = (
    NounLook("blue carton", "milk", 0.0, ("orange juice", "soup"), 0.26),
    NounLook("green bottle", "lotion", 0.0, ("syrup", "soy sauce"), 0.22),
    NounLook("red pack", "chips", 0.0, ("biscuit", "crisp"), 0.18),
    NounLook("purple bottle", "lotion", 0.40, ("cordial", "vinegar"), 0.16),
    NounLook("pink carton", "milk", 0.30, ("custard", "stock"), 0.09),
    NounLook("yellow pack", "chips", 0.11, ("cereal", "cracker"), 0.09),
)
NOUNS = tuple(noun for look in LOOKS for noun in look.nouns)
ACTIONS = tuple(
    Action(len(NOUNS) * v + n, verb, noun, h2o_id=0)
    for v, verb in enumerate(VERBS)
    for n, noun in enumerate(NOUNS)
)
# no training film shows these, as 238 pairs of EPIC-KITCHENS-100 are in validation only
UNTRAINED = ("place cracker", "press crisp")

VERB_LOOKS = tuple(dict.fromkeys(verb.look for verb in VERBS))
NOUN_LOOKS = tuple(look.name for look in LOOKS)
_SHARE_OF = {
    action.index: VERB_SHARES[action.index // len(NOUNS)]
    * LOOKS[action.index % len(NOUNS) // 2].share
    / 2
    for action in ACTIONS
}
# subjects by split; the third is seen in validation only, the fourth in test only
_SUBJECTS = {"train": (1, 2), "val": (1, 2, 3), "test": (1, 2, 4)}
UNSEEN = {"val": (3,), "test": (4,)}
_CLIPS_PER_FILM = 10
_EXTENSION = 100  # films from here on are of the extension, whose frames count by 50


def noun_number(action: Action) -> int:
    return action.index % len(NOUNS)


def verb_number(action: Action) -> int:
    return action.index // len(NOUNS)


def noun_look(action: Action) -> NounLook:
    """Look of the noun, all that the camera sees of it."""
    return LOOKS[noun_number(action) // 2]


def clue(action: Action) -> str:
    """Content of the noun, which only words can tell."""
    return CLUES[noun_number(action) % 2]


def plan_films(config: WorldConfig) -> list[SequencePlan]:
    """All films of all splits, in a fixed order; `take` is the number in the name.

    Raises:
        ValueError: the image has an odd side, which no MP4 of ours has, or a stream
            is unreliable, which is for the world of twelve actions.
    """
    if not config.is_reliable:
        raise InputError(
            "the kitchen (layout ek100) has no unreliable streams; leave out the"
            " regime, or choose another layout"
        )
    if config.width % 2 or config.height % 2:
        raise InputError(
            f"height is {config.height}, which makes images of {config.width} x"
            f" {config.height}; layout ek100 expects both even, as with 54, 64 or 72"
        )
    films: list[SequencePlan] = []
    taken: dict[tuple[int, bool], int] = {}
    for split in SPLITS:
        order = _actions_of(config, split)
        rng = np.random.default_rng([config.seed, 201, SPLITS.index(split)])
        for index, start in enumerate(range(0, len(order), _CLIPS_PER_FILM)):
            subject = _SUBJECTS[split][index % len(_SUBJECTS[split])]
            # validation is all of the first part, test of the extension, as published
            extension = split == "test" or (split == "train" and index % 4 == 3)
            number = taken[subject, extension] = taken.get((subject, extension), 0) + 1
            clips = [
                ClipPlan(action, scene, _draw_cue(rng, action))
                for scene, action in enumerate(order[start : start + _CLIPS_PER_FILM])
            ]
            take = number + _EXTENSION * extension
            films.append(SequencePlan(split, index, subject, "k1", take, tuple(clips)))
    return films


def _actions_of(config: WorldConfig, split: str) -> list[Action]:
    """The actions of a split in random order; their numbers follow from the shares."""
    size = {s: getattr(config, f"num_{s}") for s in SPLITS}[split]
    if split == "train":
        units = [[a] for a in ACTIONS if a.name not in UNTRAINED]
    else:
        units = _cells()
    counts = _fill(units, size)
    order = [a for unit, n in zip(units, counts, strict=True) for a in unit * n]
    rng = np.random.default_rng([config.seed, 202, SPLITS.index(split)])
    return [order[place] for place in rng.permutation(len(order))]


def _cells() -> list[list[Action]]:
    """Actions that look the same: to evaluate, each is done as often as the others."""
    cells: dict[tuple[str, str], list[Action]] = {}
    for action in ACTIONS:
        cells.setdefault((action.verb.look, noun_look(action).name), []).append(action)
    return list(cells.values())


def _fill(units: Sequence[Sequence[Action]], size: int) -> list[int]:
    """Times to take each unit, so that ``size`` actions come near their shares."""
    shares = np.array([sum(_SHARE_OF[a.index] for a in unit) for unit in units])
    lengths = np.array([len(unit) for unit in units])
    counts = np.zeros(len(units), dtype=int)
    wanted = shares / shares.sum() * size
    while (left := size - int((counts * lengths).sum())) > 0:
        lack = np.where(lengths <= left, wanted - (counts + 0.5) * lengths, -np.inf)
        counts[int(lack.argmax())] += 1
    return counts.tolist()


def _draw_cue(rng: np.random.Generator, action: Action) -> Cue:
    return Cue(
        _right_or_other(rng, action.verb.look, VERB_LOOKS),
        _right_or_other(rng, noun_look(action).name, NOUN_LOOKS),
    )


def _right_or_other(
    rng: np.random.Generator, right: str, every: Iterable[str], share: float = CUE_RIGHT
) -> str:
    """``right`` with probability ``share``, else any other of ``every``."""
    others = [one for one in every if one != right]
    draw, place = rng.random(), int(rng.integers(len(others)))
    return right if draw < share else others[place]
