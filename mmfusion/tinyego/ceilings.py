"""The best accuracy that any model of one stream can reach, as a theorem about files.

A deterministic model answers equal inputs equally. Group the clips by the bytes that a
stream gives it: of each group it can get right at most the commonest label. The sum
over groups is a bound for that very evaluation set, not an expectation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from mmfusion.utils.errors import InputError

from .actions import ACTIONS

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
    names = {
        "action": lambda action: action,
        "verb": lambda action: ACTIONS[action].verb.name,
        "noun": lambda action: ACTIONS[action].noun,
    }
    return {
        task: {
            stream: best_accuracy(
                (clip.seen_by(stream) for clip in clips),
                (names[task](clip.action) for clip in clips),
            )
            for stream in STREAMS
        }
        for task in TASKS
    }


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
