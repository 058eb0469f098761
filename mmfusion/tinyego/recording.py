"""One recorded sequence, before any layout: encoded images, hands, head, labels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .actions import Action
from .geometry import Array
from .motion import ClipMotion, empty_moments, simulate_clip
from .plan import SequencePlan, WorldConfig, scene_rng
from .rendering import Renderer
from .workplace import Box, make_workplace, paint_object

JPEG_QUALITY = 92
_PAUSES = 2000


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
    motions, images, segments = [], [], []

    def film(motion: ClipMotion, boxes: tuple[Box, ...]) -> None:
        motions.append(motion)
        for frame in range(len(motion.valid)):
            images.append(_encode(renderer.draw(motion, boxes, frame)))

    for clip in sequence.clips:
        film(empty_moments(pauses, int(pauses.integers(1, 4))), ())
        motion = simulate_clip(config, sequence, clip)
        start = len(images)
        film(motion, paint_object(config, sequence, clip))
        segments.append(ActedClip(clip.action, start, len(images) - 1))
    return Recording(
        plan=sequence,
        images=images,
        joints=np.concatenate([motion.measured for motion in motions]),
        valid=np.concatenate([motion.valid for motion in motions]),
        camera_to_world=np.stack(
            [
                workplace.world_pose(rotation, position)
                for motion in motions
                for rotation, position in zip(
                    motion.head_rotation, motion.head_position, strict=True
                )
            ]
        ),
        segments=segments,
    )


def _encode(image: np.ndarray) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, "OpenCV encodes every uint8 image as jpeg"
    return data.tobytes()
