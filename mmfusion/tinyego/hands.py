"""The kinematic hand: bone lengths, finger flexion and a wrist pose make 21 joints.

Joint order is OpenPose's: 0 wrist, 1-4 thumb base to tip, then index, middle, ring and
little finger in fours. A hand has three axes at its wrist: distal (to the fingers),
radial (to the thumb) and palmar (out of the palm, where fingers flex to).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .geometry import Array, unit

NUM_JOINTS = 21
LEFT, RIGHT = 0, 1

# metres, a middle-sized adult; per finger: wrist to knuckle, then the three bones
_BONES = np.array(
    [
        [0.036, 0.042, 0.032, 0.027],  # thumb
        [0.090, 0.042, 0.026, 0.022],
        [0.088, 0.046, 0.029, 0.024],
        [0.083, 0.042, 0.027, 0.023],
        [0.077, 0.033, 0.021, 0.020],
    ]
)
# radians in the palm's plane, towards the thumb: where each knuckle sits
_KNUCKLE_ANGLE = np.array([0.75, 0.27, 0.04, -0.18, -0.41])
# a straight finger points nearly along the hand
_FINGER_ANGLE = np.array([0.85, 0.10, 0.02, -0.06, -0.16])
# a fist (flexion 1) bends the three joints of a finger by so much, radians
_FIST = np.array([1.25, 1.55, 0.85])
_THUMB_FIST = np.array([0.35, 0.70, 0.80])
_THUMB_OPPOSITION = 0.55


@dataclass(frozen=True)
class HandShape:
    """Bone lengths of one subject, metres, (5, 4)."""

    bones: Array

    @classmethod
    def of_subject(cls, subject: int, scale: float) -> HandShape:
        """A subject has a size and, within 3 %, proportions of their own."""
        rng = np.random.default_rng([7, subject])
        return cls(_BONES * scale * rng.uniform(0.97, 1.03, _BONES.shape))


@dataclass(frozen=True)
class HandPose:
    """Place of one hand and bend of its fingers, over T frames.

    Args:
        wrist: (T, 3), metres.
        distal: (T, 3), any length.
        palmar: (T, 3), made perpendicular to distal.
        flexion: (T, 5), 0 straight to 1 fist, thumb first.
        spread: (T, 5), radians towards the thumb, added to each finger's direction.
    """

    wrist: Array
    distal: Array
    palmar: Array
    flexion: Array
    spread: Array


def hand_joints(shape: HandShape, pose: HandPose, side: int) -> Array:
    """Forward kinematics of one hand, (T, 21, 3), in the frame of the pose."""
    distal = unit(pose.distal)
    palmar = pose.palmar - (pose.palmar * distal).sum(-1, keepdims=True) * distal
    palmar = unit(palmar)
    radial = np.cross(distal, palmar) if side == RIGHT else np.cross(palmar, distal)
    axes = np.stack((distal, radial, palmar), axis=-1)  # (T, 3, 3), columns
    local = _local_joints(shape, pose)  # (T, 21, 3)
    return pose.wrist[:, None] + local @ axes.transpose(0, 2, 1)


def _local_joints(shape: HandShape, pose: HandPose) -> Array:
    """Joints along (distal, radial, palmar) with the wrist at 0, (T, 21, 3)."""
    joints = np.zeros((len(pose.wrist), NUM_JOINTS, 3))
    for finger in range(5):
        knuckle = _KNUCKLE_ANGLE[finger]
        first = 1 + 4 * finger
        joints[:, first] = shape.bones[finger, 0] * np.array(
            [np.cos(knuckle), np.sin(knuckle), 0.15 if finger == 0 else 0.0]
        )
        bend = pose.flexion[:, finger, None] * (_THUMB_FIST if finger == 0 else _FIST)
        total = np.cumsum(bend, axis=1)  # (T, 3), from the knuckle outwards
        angle = _FINGER_ANGLE[finger] + pose.spread[:, finger]
        for bone in range(3):
            step = _bone_direction(total[:, bone], angle, is_thumb=finger == 0)
            length = shape.bones[finger, bone + 1]
            joints[:, first + bone + 1] = joints[:, first + bone] + length * step
    return joints


def _bone_direction(bend: Array, angle: Array, *, is_thumb: bool) -> Array:
    """Unit direction (T, 3) of a bone bent by `bend` (T,) in the finger at `angle`."""
    if is_thumb:
        # the thumb bends across the palm: towards the fingers more than into it
        angle = angle - bend
        bend = np.full_like(bend, _THUMB_OPPOSITION)
    straight = np.stack((np.cos(angle), np.sin(angle), np.zeros_like(angle)), -1)
    into_palm = np.array([0.0, 0.0, 1.0])
    return np.cos(bend)[:, None] * straight + np.sin(bend)[:, None] * into_palm
