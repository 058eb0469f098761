"""Clips of TinyEgo: splits, sequences, and twin blocks to evaluate on.

A training sequence holds clips of random actions, each a scene of its own. An
evaluation sequence holds *twin blocks*: one scene acted out as every noun and as every
verb of one look. Within a block, clips that a stream cannot tell apart are equal bit by
bit in that stream, which makes the ceilings hold for the very files (see ceilings.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mmfusion.utils.errors import InputError

from .actions import ACTIONS, VERBS, Action
from .reliability import Reliability, Shown, draw_shown

SPLITS = ("train", "val", "test")
_SUBJECTS = {"train": (1, 2), "val": (3,), "test": (4,)}
_AREAS = ("h1", "h2", "k1", "k2", "o1", "o2")
_CLIPS_PER_TRAIN_SEQUENCE = 6
_FAULTS = 3000  # purpose of a random stream


@dataclass(frozen=True)
class WorldConfig:
    """Everything that decides TinyEgo's bytes.

    Args:
        seed: the world's seed.
        num_train: clips in train; any number.
        num_val: clips in val, a multiple of 12 (one twin block per look).
        num_test: clips in test, a multiple of 12.
        height: image height in pixels; the width follows as 16:9.
        video, hands: how far each stream can be trusted; wholly, by default.
    """

    seed: int = 0
    num_train: int = 600
    num_val: int = 240
    num_test: int = 24
    height: int = 72
    video: Reliability = Reliability()
    hands: Reliability = Reliability()

    def __post_init__(self) -> None:
        self.video.check("video")
        self.hands.check("hands")
        if self.video.rate + self.hands.rate > 1:
            raise InputError(
                f"the streams fail in {self.video.rate} and {self.hands.rate} of the"
                " clips; expected at most 1 together: never both in one clip"
            )
        block = len(ACTIONS)
        for name in ("num_val", "num_test"):
            value = getattr(self, name)
            if value < 0 or value % block:
                raise InputError(
                    f"{name} is {value}; expected a multiple of {block}, so that every "
                    "twin block is complete and the ceilings hold"
                )
        if self.num_train < 0:
            raise InputError(f"num_train is {self.num_train}; expected 0 or more")
        if not 54 <= self.height <= 720:
            raise InputError(f"height is {self.height}; expected 54 to 720 pixels")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; expected 0 or more")

    @property
    def width(self) -> int:
        return round(self.height * 16 / 9)

    @property
    def is_reliable(self) -> bool:
        """True where both streams show all that they can in every clip."""
        return self.video == self.hands == Reliability()

    @property
    def has_faults(self) -> bool:
        """True where a stream fails in some clips, which are drawn at random."""
        return bool(self.video.rate or self.hands.rate)


@dataclass(frozen=True)
class Cue:
    """Look that is shown while an action is still to come: its own, or another one."""

    verb_look: str
    noun_look: str


@dataclass(frozen=True)
class ClipPlan:
    """One clip: an action, acted out in a scene of its sequence.

    Args:
        action: what happens.
        scene: number of the scene, which seeds all that is random in it.
        cue: what shows before it; None where nothing does.
        video, hands: what each stream shows; None where it is what happens.
    """

    action: Action
    scene: int
    cue: Cue | None = None
    video: Shown | None = None
    hands: Shown | None = None


@dataclass(frozen=True)
class SequencePlan:
    """One recording: a subject at one workplace, and the clips in their order."""

    split: str
    index: int
    subject: int
    area: str
    take: int
    clips: tuple[ClipPlan, ...]

    @property
    def path(self) -> str:
        """The name H2O's label files use, such as subject1/h1/0."""
        return f"subject{self.subject}/{self.area}/{self.take}"

    @property
    def area_number(self) -> int:
        """1 to 6, where names want a number."""
        return _AREAS.index(self.area) + 1


def plan_world(config: WorldConfig) -> list[SequencePlan]:
    """All sequences of all splits, in a fixed order."""
    sequences = []
    for split in SPLITS:
        contents = (
            _train_sequences(config)
            if split == "train"
            else _evaluation_sequences(config, split)
        )
        subjects = _SUBJECTS[split]
        for index, clips in enumerate(contents):
            turn = index // len(subjects)
            sequence = SequencePlan(
                split=split,
                index=index,
                subject=subjects[index % len(subjects)],
                area=_AREAS[turn % len(_AREAS)],
                take=turn // len(_AREAS),
                clips=tuple(clips),
            )
            sequences.append(_with_faults(config, sequence))
    return sequences


def _with_faults(config: WorldConfig, sequence: SequencePlan) -> SequencePlan:
    """The sequence with what each stream shows of every clip, if it is not all."""
    if config.is_reliable:
        return sequence
    clips = []
    for place, clip in enumerate(sequence.clips):
        rng = scene_rng(config, sequence, _FAULTS, place)
        video, hands = draw_shown(rng, config.video, config.hands, clip.action)
        clips.append(replace(clip, video=video, hands=hands))
    return replace(sequence, clips=tuple(clips))


def scene_rng(
    config: WorldConfig, sequence: SequencePlan, *keys: int
) -> np.random.Generator:
    """An independent random stream for one purpose within one sequence."""
    return np.random.default_rng(
        [config.seed, SPLITS.index(sequence.split), sequence.index, *keys]
    )


def _train_sequences(config: WorldConfig) -> list[list[ClipPlan]]:
    rounds = -(-config.num_train // len(ACTIONS))
    rng = np.random.default_rng([config.seed, 101])
    order = [ACTIONS[i] for _ in range(rounds) for i in rng.permutation(len(ACTIONS))]
    order = order[: config.num_train]
    step = _CLIPS_PER_TRAIN_SEQUENCE
    return [
        [ClipPlan(action, scene) for scene, action in enumerate(order[i : i + step])]
        for i in range(0, len(order), step)
    ]


def _evaluation_sequences(config: WorldConfig, split: str) -> list[list[ClipPlan]]:
    total = config.num_val if split == "val" else config.num_test
    looks = list(dict.fromkeys(verb.look for verb in VERBS))
    blocks = [
        ClipPlan(action, scene)
        for scene, look in enumerate(looks)
        for action in ACTIONS
        if action.verb.look == look
    ]
    rng = np.random.default_rng([config.seed, 102, SPLITS.index(split)])
    return [
        [blocks[i] for i in rng.permutation(len(blocks))]
        for _ in range(total // len(blocks))
    ]
