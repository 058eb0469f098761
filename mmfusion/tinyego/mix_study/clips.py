"""Clips of all regimes as the inputs of two encoders, each film and motion made once.

Regimes of one world share its scenes, and a stream is the same wherever it shows the
same of one scene. So a film or a motion is named by what it shows, and made once for
all regimes. Frames are those of the demo's configs, without the files between: 8 of
64 px, and 16 of two hands, at the middles of equal parts of a clip.

Shapes: n clips, t frames, j joints of both hands.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np

from mmfusion.datasets.transforms import NormalizeSkeleton
from mmfusion.tinyego import REGIMES, Shown, WorldConfig, plan_world
from mmfusion.tinyego.ceilings import content_of
from mmfusion.tinyego.plan import ClipPlan, SequencePlan
from mmfusion.tinyego.recording import film_clip, hand_motion
from mmfusion.tinyego.rendering import Renderer
from mmfusion.tinyego.workplace import make_workplace

NUM_FRAMES, NUM_POSES, SIZE = 8, 16, 64
_NORMALIZE = NormalizeSkeleton(mode="wrist", scale=10.0, wrist=0)
_NOWHERE = ("", -1, -1)  # scene of what is the same in every scene


class View(NamedTuple):
    """Name of a film or a motion: its scene, and what it shows of it."""

    split: str
    sequence: int
    scene: int
    content: object


@dataclass(frozen=True)
class StudyClip:
    """One clip of a regime.

    Args:
        action: its label, 0 to 11.
        block: its sequence; clips of one are not independent.
        wrong: the stream that fails, ``video`` or ``hands``, or empty.
        video, hands: what each stream gives.
    """

    action: int
    block: int
    wrong: str
    video: View
    hands: View


def clips_of(config: WorldConfig, regime: str, split: str) -> list[StudyClip]:
    """Clips of a split in the world's order, as a regime shows them."""
    video, hands = REGIMES[regime]
    world = replace(config, video=video, hands=hands)
    found = []
    for plan in plan_world(world):
        if plan.split == split:
            found += [_clip(plan, clip) for clip in plan.clips]
    return found


def _clip(plan: SequencePlan, clip: ClipPlan) -> StudyClip:
    film = clip.video or Shown(clip.action)
    motion = clip.hands or Shown(clip.action)
    content = content_of(clip.action, film, motion)
    place = (plan.split, plan.index, clip.scene)
    return StudyClip(
        clip.action.index,
        plan.index,
        "video" if film.fault else "hands" if motion.fault else "",
        View(*(_NOWHERE if film.action is None else place), content.video),
        View(*(_NOWHERE if motion.action is None else place), content.skeleton),
    )


class Studio:
    """Films and motions of one world by their names.

    Args:
        config: the world; its streams' reliability is not read.
        regimes: whose clips will be asked for.
    """

    def __init__(self, config: WorldConfig, regimes: Iterable[str]) -> None:
        self.config = replace(
            config, video=REGIMES["clean"][0], hands=REGIMES["clean"][1]
        )
        self._sequences = {(p.split, p.index): p for p in plan_world(self.config)}
        self._plans: dict[View, ClipPlan] = {}
        for regime in regimes:
            video, hands = REGIMES[regime]
            for plan in plan_world(replace(config, video=video, hands=hands)):
                for clip in plan.clips:
                    named = _clip(plan, clip)
                    self._plans.setdefault(named.video, clip)
                    self._plans.setdefault(named.hands, clip)

    def films(self, views: Sequence[View]) -> Iterator[np.ndarray]:
        """(3, t, 64, 64) uint8 RGB of each; quickest where sequences stay together."""
        last, renderer = None, None
        for view in views:
            if view.scene < 0:
                yield np.full((3, NUM_FRAMES, SIZE, SIZE), 128, np.uint8)
                continue
            if renderer is None or last != view[:2]:
                last = view[:2]
                sequence = self._sequences[last]
                renderer = Renderer(self.config, make_workplace(self.config, sequence))
            yield self._film(view, renderer)

    def motions(self, views: Sequence[View]) -> tuple[np.ndarray, np.ndarray]:
        """Joints (n, t, j, 3) float32 as the encoder reads them, mask (n, t, j)."""
        made = [self._motion(view) for view in views]
        joints, masks = (np.stack(parts) for parts in zip(*made, strict=True))
        return joints, masks

    def _film(self, view: View, renderer: Renderer) -> np.ndarray:
        clip, sequence = self._plans[view], self._sequences[view[:2]]
        length = len(hand_motion(self.config, sequence, clip).valid)
        images = film_clip(
            self.config, sequence, clip, renderer, _middles(length, NUM_FRAMES)
        )
        small = [cv2.resize(image, (SIZE, SIZE))[..., ::-1] for image in images]
        return np.stack(small).transpose(3, 0, 1, 2)

    def _motion(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        if view.scene < 0:
            shape = (NUM_POSES, 42)
            return np.zeros((*shape, 3), np.float32), np.zeros(shape, bool)
        motion = hand_motion(self.config, self._sequences[view[:2]], self._plans[view])
        frames = _middles(len(motion.valid), NUM_POSES)
        joints = motion.measured[frames].astype(np.float32)  # (t, 2, 21, 3)
        mask = np.repeat(motion.valid[frames][..., None], joints.shape[2], axis=2)
        views = dict(joints=joints[None], joints_mask=mask[None])
        joints = _NORMALIZE.transform(views)["joints"][0]
        return joints.reshape(NUM_POSES, -1, 3), mask.reshape(NUM_POSES, -1)


def _middles(length: int, count: int) -> np.ndarray:
    """Frames at the middles of ``count`` equal parts of a clip."""
    return np.floor((np.arange(count) + 0.5) * length / count).astype(int)
