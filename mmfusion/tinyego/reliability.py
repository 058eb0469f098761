"""Reliability of each stream: what it shows of an action, clip by clip.

A stream that fails shows nothing, or another action in the same scene; of one clip at
most one stream fails. So what a model is given stays a function of the scene, of what
each stream shows, and of the signs of failure: the best accuracy follows by counting
(:func:`mmfusion.tinyego.ceilings.expected_ceilings`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from mmfusion.utils.errors import InputError

from .actions import ACTIONS, NOUNS, VERBS, Action

# what shows that a stream fails: nothing; its own pixels or joints; the other stream
FAULTS = MappingProxyType(
    {
        "video": ("lost", "other", "dark"),
        "hands": ("lost", "other", "tremble", "glare", "gloves"),
    }
)
# faults of the hands that nothing but the film shows
SHOWN_BY_VIDEO = ("glare", "gloves")


@dataclass(frozen=True)
class Reliability:
    """Trust that one stream deserves.

    Args:
        poor: in every clip it shows less than it could. The hands' tracker guesses the
            hidden fingers, always as those that open; all things are wrapped alike.
        fault: what happens to a clip that fails, drawn for each clip. ``lost``: grey
            frames, or no hand is tracked (flag 0). All others show another action,
            any of the twelve alike, in the same scene: ``other`` without a sign,
            ``dark`` (video) in dark frames, ``tremble`` (hands) with 2 cm of noise,
            ``glare`` and ``gloves`` (hands) where the video, which is right, is veiled
            by light, or shows blue gloves.
        rate: share of clips that fail, 0 to 1.
    """

    poor: bool = False
    fault: str | None = None
    rate: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise InputError(f"rate is {self.rate}; expected 0 to 1")
        if (self.fault is None) != (self.rate == 0):
            raise InputError(
                f"fault={self.fault!r} with rate={self.rate}; expected a fault and a"
                " rate above 0, or neither"
            )

    def check(self, stream: str) -> None:
        """Refuse a fault that this stream (``video`` or ``hands``) cannot have."""
        if self.fault is not None and self.fault not in FAULTS[stream]:
            raise InputError(
                f"{stream}.fault is {self.fault!r}; expected one of {FAULTS[stream]}"
            )


@dataclass(frozen=True)
class Shown:
    """Content of one stream of a clip.

    Args:
        action: the action; None where it shows nothing.
        fault: of the stream in this clip; None where it shows what happens.
    """

    action: Action | None
    fault: str | None = None


Pair = tuple[Shown, Shown]  # of the video, of the hands


def outcomes(
    video: Reliability, hands: Reliability, action: Action
) -> Iterator[tuple[Fraction, Pair]]:
    """Pairs that the streams may show of an action, each with its probability."""
    film, motion = _right(video, "video", action), _right(hands, "hands", action)
    rates = Fraction(str(video.rate)), Fraction(str(hands.rate))
    yield 1 - rates[0] - rates[1], (film, motion)
    for place in range(len(ACTIONS)):
        share = Fraction(1, len(ACTIONS))
        yield rates[0] * share, (_wrong(video, "video", place), motion)
        yield rates[1] * share, (film, _wrong(hands, "hands", place))


def draw_shown(
    rng: np.random.Generator, video: Reliability, hands: Reliability, action: Action
) -> Pair:
    """One of :func:`outcomes` by its probability."""
    chance, place = rng.random(), int(rng.integers(len(ACTIONS)))
    film, motion = _right(video, "video", action), _right(hands, "hands", action)
    if chance < video.rate:
        return _wrong(video, "video", place), motion
    if chance < video.rate + hands.rate:
        return film, _wrong(hands, "hands", place)
    return film, motion


def _right(reliability: Reliability, stream: str, action: Action) -> Shown:
    return Shown(_poor(reliability, stream, action))


def _wrong(reliability: Reliability, stream: str, place: int) -> Shown:
    """Content of a stream that fails: nothing, or the action at a place in ACTIONS."""
    if reliability.fault == "lost":
        return Shown(None, "lost")
    return Shown(_poor(reliability, stream, ACTIONS[place]), reliability.fault)


def _poor(reliability: Reliability, stream: str, action: Action) -> Action:
    """The action that a stream shows for one, in every clip."""
    if not reliability.poor:
        return action
    verb, noun = VERBS.index(action.verb), NOUNS.index(action.noun)
    if stream == "video":
        noun = 0
    else:
        verb = next(v for v, one in enumerate(VERBS) if one.look == action.verb.look)
    return ACTIONS[len(NOUNS) * verb + noun]


_WHOLE = Reliability()
REGIMES = MappingProxyType(
    {
        "clean": (_WHOLE, _WHOLE),
        "hands_poor": (_WHOLE, Reliability(poor=True)),
        "video_poor": (Reliability(poor=True), _WHOLE),
        "hands_lost": (_WHOLE, Reliability(fault="lost", rate=0.5)),
        "hands_worse": (
            Reliability(fault="other", rate=0.1),
            Reliability(fault="other", rate=0.6),
        ),
        "video_worse": (
            Reliability(fault="other", rate=0.6),
            Reliability(fault="other", rate=0.1),
        ),
        "either_lost": (
            Reliability(fault="lost", rate=0.4),
            Reliability(fault="lost", rate=0.4),
        ),
        "either_marked": (
            Reliability(fault="dark", rate=0.4),
            Reliability(fault="tremble", rate=0.4),
        ),
        "either_told": (
            Reliability(fault="other", rate=0.4),
            Reliability(fault="glare", rate=0.4),
        ),
        "either_gloves": (
            Reliability(fault="other", rate=0.4),
            Reliability(fault="gloves", rate=0.4),
        ),
        "either_hidden": (
            Reliability(fault="other", rate=0.4),
            Reliability(fault="other", rate=0.4),
        ),
    }
)
"""(video, hands) by the name that ``generate.py --regime`` takes."""
