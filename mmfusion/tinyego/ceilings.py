"""The best accuracy that any model of one stream can reach, as a theorem about files.

A deterministic model answers equal inputs equally. Group the clips by the bytes that a
stream gives it: of each group it can get right at most the commonest label. The sum
over groups is a bound for that very evaluation set, not an expectation. Where streams
fail at random the bound is an expectation: Bayes' rule over all that can be shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from mmfusion.utils.errors import InputError

from .actions import ACTIONS, Action
from .reliability import SHOWN_BY_VIDEO, Reliability, Shown, outcomes

TASKS = ("action", "verb", "noun")
STREAMS = ("video", "skeleton", "both")


@dataclass(frozen=True)
class ClipContent:
    """Content of one clip's files: its label (0..11) and a digest of each stream."""

    action: int
    video: Hashable
    skeleton: Hashable

    def seen_by(self, stream: str) -> Hashable:
        """All that a model of this stream is given."""
        both = (self.video, self.skeleton)
        return {"video": self.video, "skeleton": self.skeleton, "both": both}[stream]


def best_accuracy(inputs: Iterable[Hashable], labels: Iterable[Hashable]) -> float:
    """Percent right of the best deterministic function from inputs to labels."""
    groups: dict[Hashable, Counter] = defaultdict(Counter)
    for given, label in zip(inputs, labels, strict=True):
        groups[given][label] += 1
    total = sum(group.total() for group in groups.values())
    if total == 0:
        raise InputError("no clips: a ceiling needs at least one")
    right = sum(max(group.values()) for group in groups.values())
    return 100.0 * right / total


def ceilings(clips: Sequence[ClipContent]) -> dict[str, dict[str, float]]:
    """Best top-1 in percent per task (action, verb, noun) and stream.

    Args:
        clips: one entry per clip of the evaluation set.

    Returns:
        For each task: {"video": ..., "skeleton": ..., "both": ...}.
    """
    return {
        task: {
            stream: best_accuracy(
                (clip.seen_by(stream) for clip in clips),
                (label_of(ACTIONS[clip.action], task) for clip in clips),
            )
            for stream in STREAMS
        }
        for task in TASKS
    }


def label_of(action: Action, task: str) -> Hashable:
    """The label of an action for one of the tasks."""
    labels = {"action": action.index, "verb": action.verb.name, "noun": action.noun}
    return labels[task]


def content_of(action: Action, video: Shown, hands: Shown) -> ClipContent:
    """All that the streams of a clip tell of it, apart from its scene.

    The film may show that the hands fail; who sees both streams knows what each tells.
    """
    film: Hashable = "lost"
    if video.action is not None:
        look, noun = video.action.verb.look, video.action.noun
        sign = hands.fault if hands.fault in SHOWN_BY_VIDEO else ""
        film = (look, noun, video.fault == "dark", sign)
    motion: Hashable = "lost"
    if hands.action is not None:
        motion = (hands.action.verb.name, hands.fault == "tremble")
    return ClipContent(action.index, film, motion)


def possible_contents(
    video: Reliability, hands: Reliability
) -> list[tuple[Fraction, ClipContent]]:
    """Every content that a clip can have, with its probability; they sum to 1."""
    return [
        (probability / len(ACTIONS), content_of(action, *shown))
        for action in ACTIONS
        for probability, shown in outcomes(video, hands, action)
        if probability
    ]


def expected_ceilings(
    video: Reliability, hands: Reliability
) -> dict[str, dict[str, float]]:
    """Best expected top-1 in percent, by task and stream, of streams that may fail.

    The scene is drawn apart from the action and the faults, so that Bayes' rule needs
    the content alone: of each content the likeliest label is right.

    Returns:
        As :func:`ceilings`. Without faults it is :func:`designed_ceilings`.
    """
    contents = possible_contents(video, hands)
    return {
        task: {stream: _best_expected(contents, task, stream) for stream in STREAMS}
        for task in TASKS
    }


def _best_expected(
    contents: Iterable[tuple[Fraction, ClipContent]], task: str, stream: str
) -> float:
    """Percent: the sum, over all that a stream is given, of the likeliest label's."""
    joint: dict[Hashable, dict[Hashable, Fraction]] = {}
    for probability, content in contents:
        labels = joint.setdefault(content.seen_by(stream), {})
        label = label_of(ACTIONS[content.action], task)
        labels[label] = labels.get(label, Fraction(0)) + probability
    return float(100 * sum(max(labels.values()) for labels in joint.values()))


def designed_ceilings() -> dict[str, dict[str, float]]:
    """The same bounds from the design: a camera sees look and noun, the hands the verb.

    With an even number of clips per class, `ceilings` of the files must agree.
    """
    return ceilings(
        [
            ClipContent(
                action=action.index,
                video=(action.verb.look, action.noun),
                skeleton=action.verb.name,
            )
            for action in ACTIONS
        ]
    )
