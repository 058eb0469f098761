"""One recorded sequence, before any layout: encoded images, hands, head, labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .actions import Action
from .geometry import Array
from .motion import ClipMotion, empty_moments, simulate_clip
from .plan import ClipPlan, SequencePlan, WorldConfig, scene_rng
from .reliability import Shown
from .rendering import Renderer
from .workplace import Box, make_workplace, paint_object

JPEG_QUALITY = 92
# purposes of random streams; the first belongs to a sequence, the second to a scene
_PAUSES, _TREMBLING = 2000, 5
# signs of a stream that fails: metres of noise, share of light that is left, share of
# white that is added; colours in BGR
_TREMBLE, _DARK, _GLARE = 0.02, 0.3, 0.4
_GREY, _GLOVES = 128, (190.0, 90.0, 30.0)


@dataclass(frozen=True)
class ActedClip:
    """One action of a recording: its frames, both ends included."""

    action: Action
    start: int
    end: int


@dataclass(frozen=True)
class Recording:
    """A sequence of N frames at 30 per second.

    Args:
        plan: where it belongs.
        images: N jpeg files.
        joints: (N, 2, 21, 3), left and right, metres, camera frame; zero if not valid.
        valid: (N, 2) bool.
        camera_to_world: (N, 4, 4).
        segments: the actions in time order, a few background frames before each.
    """

    plan: SequencePlan
    images: list[bytes]
    joints: Array
    valid: np.ndarray
    camera_to_world: Array
    segments: list[ActedClip]


def record(config: WorldConfig, sequence: SequencePlan) -> Recording:
    """Act out and film one sequence. The result depends on its arguments only."""
    workplace = make_workplace(config, sequence)
    renderer = Renderer(config, workplace)
    pauses = scene_rng(config, sequence, _PAUSES)
    filmed, tracked, images, segments = [], [], [], []
    for clip in sequence.clips:
        pause = empty_moments(pauses, int(pauses.integers(1, 4)))
        filmed.append(pause)
        tracked.append(pause)
        images += [_encode(image) for image in _draw(renderer, pause, ())]
        start = len(images)
        filmed.append(camera_motion(config, sequence, clip))
        tracked.append(hand_motion(config, sequence, clip))
        images += map(_encode, film_clip(config, sequence, clip, renderer))
        segments.append(ActedClip(clip.action, start, len(images) - 1))
    return Recording(
        plan=sequence,
        images=images,
        joints=np.concatenate([motion.measured for motion in tracked]),
        valid=np.concatenate([motion.valid for motion in tracked]),
        camera_to_world=np.stack(
            [
                workplace.world_pose(rotation, position)
                for motion in filmed
                for rotation, position in zip(
                    motion.head_rotation, motion.head_position, strict=True
                )
            ]
        ),
        segments=segments,
    )


def camera_motion(
    config: WorldConfig, sequence: SequencePlan, clip: ClipPlan
) -> ClipMotion:
    """Motion that the film of a clip shows."""
    return simulate_clip(config, sequence, _as_shown(clip, clip.video))


def hand_motion(
    config: WorldConfig, sequence: SequencePlan, clip: ClipPlan
) -> ClipMotion:
    """Motion that the hands' tracker reports of a clip: ``measured``, ``valid``."""
    motion = simulate_clip(config, sequence, _as_shown(clip, clip.hands))
    fault = clip.hands and clip.hands.fault
    if fault == "lost":
        nothing = np.zeros_like(motion.valid), np.zeros_like(motion.measured)
        return replace(motion, valid=nothing[0], measured=nothing[1])
    if fault != "tremble":
        return motion
    rng = scene_rng(config, sequence, clip.scene, _TREMBLING)
    noise = rng.normal(0, _TREMBLE, motion.measured.shape)
    noise = np.where(motion.valid[..., None, None], noise, 0.0)
    return replace(motion, measured=motion.measured + noise)


def film_clip(
    config: WorldConfig,
    sequence: SequencePlan,
    clip: ClipPlan,
    renderer: Renderer,
    frames: Iterable[int] | None = None,
) -> Iterator[np.ndarray]:
    """Images (height, width, 3), uint8 BGR, of a clip, or of some of its frames."""
    motion = camera_motion(config, sequence, clip)
    fault = clip.video and clip.video.fault
    hands_fault = clip.hands and clip.hands.fault
    if hands_fault == "gloves":
        gloved = replace(renderer.workplace, skin=_GLOVES)
        renderer = Renderer(config, gloved)
    boxes = paint_object(config, sequence, _as_shown(clip, clip.video))
    for image in _draw(renderer, motion, boxes, frames):
        if fault == "lost":
            yield np.full_like(image, _GREY)
        elif fault == "dark":
            yield (image * _DARK).astype(np.uint8)
        elif hands_fault == "glare":
            yield (image * (1 - _GLARE) + 255 * _GLARE).astype(np.uint8)
        else:
            yield image


def _as_shown(clip: ClipPlan, shown: Shown | None) -> ClipPlan:
    """The clip with the action that a stream shows, where it shows one."""
    if shown is None or shown.action is None:
        return clip
    return replace(clip, action=shown.action)


def _draw(
    renderer: Renderer,
    motion: ClipMotion,
    boxes: tuple[Box, ...],
    frames: Iterable[int] | None = None,
) -> Iterator[np.ndarray]:
    for frame in range(len(motion.valid)) if frames is None else frames:
        yield renderer.draw(motion, boxes, frame)


def _encode(image: np.ndarray) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, "OpenCV encodes every uint8 image as jpeg"
    return data.tobytes()
