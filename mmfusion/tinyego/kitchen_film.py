"""One film of the kitchen: images, hands and boxes, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .foresight import wait
from .geometry import Array
from .kitchen import LOOKS, noun_look
from .motion import ClipMotion, empty_moments, simulate_clip
from .plan import ClipPlan, SequencePlan, WorldConfig, scene_rng
from .recording import ActedClip
from .rendering import Renderer
from .workplace import Box, make_workplace, paint_shape

BOX_NAMES = ("left hand", "right hand", "object")
_PAUSES, _PAINT, _CUE_PAINT, _CUE_MOTION, _CUE_SENSOR = range(2000, 2005)
PAUSE = (28, 33)  # frames before an action, both included: 2.8 to 3.3 seconds
SHORT_PAUSE = (3, 7)  # at the start of every third film: no room to anticipate
_TAIL = 5  # frames after the last action


@dataclass(frozen=True)
class Film:
    """A film of N frames at `kitchen.FPS` per second.

    Args:
        plan: where it belongs.
        images: N frames (height, width, 3), uint8, BGR.
        joints: (N, 2, 21, 3), left and right, metres, camera frame; zero if not valid.
        valid: (N, 2) bool.
        boxes: (N, 3, 4), x1 y1 x2 y2 in 0..1, of BOX_NAMES; zero if not seen.
        boxes_valid: (N, 3) bool.
        segments: the actions in time order.
    """

    plan: SequencePlan
    images: list[np.ndarray]
    joints: Array
    valid: np.ndarray
    boxes: Array
    boxes_valid: np.ndarray
    segments: list[ActedClip]


def make_film(config: WorldConfig, plan: SequencePlan) -> Film:
    """Act out and film one sequence. The result depends on its arguments only."""
    renderer = Renderer(config, make_workplace(config, plan))
    pauses = scene_rng(config, plan, _PAUSES)
    motions: list[ClipMotion] = []
    images: list[np.ndarray] = []
    boxes: list[Array] = []
    segments: list[ActedClip] = []

    def show(motion: ClipMotion, parts: tuple[Box, ...]) -> None:
        motions.append(motion)
        for frame in range(len(motion.valid)):
            images.append(renderer.draw(motion, parts, frame))
            boxes.append(frame_boxes(renderer, motion, parts, frame))

    for place, clip in enumerate(plan.clips):
        hurried = place == 0 and plan.index % 3 == 0
        low, high = SHORT_PAUSE if hurried else PAUSE
        show(*_before(config, plan, clip, int(pauses.integers(low, high + 1))))
        start = len(images)
        show(simulate_clip(config, plan, clip), _paint(config, plan, clip))
        segments.append(ActedClip(clip.action, start, len(images) - 1))
    show(empty_moments(pauses, _TAIL), ())
    found = np.stack(boxes)  # (N, 3, 4)
    return Film(
        plan=plan,
        images=images,
        joints=np.concatenate([motion.measured for motion in motions]),
        valid=np.concatenate([motion.valid for motion in motions]),
        boxes=found,
        boxes_valid=found[..., 2] > found[..., 0],
        segments=segments,
    )


def _before(
    config: WorldConfig, plan: SequencePlan, clip: ClipPlan, num_frames: int
) -> tuple[ClipMotion, tuple[Box, ...]]:
    """The pause before a clip, with its cue."""
    if clip.cue is None:
        rng = scene_rng(config, plan, clip.scene, _CUE_MOTION)
        return empty_moments(rng, num_frames), ()
    motion = wait(
        scene_rng(config, plan, clip.scene, _CUE_MOTION),
        scene_rng(config, plan, clip.scene, _CUE_SENSOR),
        num_frames,
        clip.cue.verb_look,
        plan.subject,
    )
    look = next(look for look in LOOKS if look.name == clip.cue.noun_look)
    rng = scene_rng(config, plan, clip.scene, _CUE_PAINT)
    return motion, paint_shape(rng, look.shape, look.hue)


def _paint(config: WorldConfig, plan: SequencePlan, clip: ClipPlan) -> tuple[Box, ...]:
    """The object as the camera sees it: the look of the noun, not the noun."""
    look = noun_look(clip.action)
    rng = scene_rng(config, plan, clip.scene, _PAINT)
    return paint_shape(rng, look.shape, look.hue)


def frame_boxes(
    renderer: Renderer, motion: ClipMotion, parts: tuple[Box, ...], frame: int
) -> Array:
    """Boxes of what one frame shows, (3, 4) in 0..1; zeros for what it does not."""
    found = np.zeros((len(BOX_NAMES), 4))
    if not parts:
        return found
    size = np.array([renderer.lens.width, renderer.lens.height])
    for side, joints in enumerate(motion.joints[frame]):
        if joints[:, 2].min() > 0.05:
            radius = renderer.finger_radius(joints[:, 2])[:, None]
            pixels = renderer.lens.project(joints)  # (21, 2)
            found[side] = _box(np.concatenate((pixels - radius, pixels + radius)), size)
    pixels = renderer.object_outline(motion, parts, frame)
    found[2] = _box(pixels, size)
    return found


def _box(pixels: Array, size: Array) -> Array:
    """The box about pixels (k, 2) within the image, (4,); zeros where none is left."""
    low = np.clip(pixels.min(0) / size, 0, 1)
    high = np.clip(pixels.max(0) / size, 0, 1)
    seen = (high - low > 0.01).all()  # less than a pixel is nothing
    return np.concatenate((low, high)) if seen else np.zeros(4)
