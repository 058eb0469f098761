"""Motion of hands, object and head in one clip.

Everything is built in the scene's frame (the camera at rest) and then seen from the
moving head. Random numbers come from the scene only, never from the noun; the finger
motion of a hidden verb has a stream of its own, so that nothing else differs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .geometry import (
    Array,
    Intrinsics,
    blend,
    minimum_jerk,
    rotation_matrices,
    smooth_noise,
)
from .hands import LEFT, NUM_JOINTS, RIGHT, HandPose, HandShape, hand_joints
from .plan import ClipPlan, SequencePlan, WorldConfig, scene_rng

# H2O's head-mounted camera (cam4)
LENS = Intrinsics(636.6593, 636.2520, 635.2839, 366.8740, 1280, 720)
HAND_SIZES = {1: 0.94, 2: 1.05, 3: 1.00, 4: 0.97}
SENSOR_NOISE = 0.001  # metres
# radians that an object leans (to the left) while one works at it
TWIST_ROLL = -0.35
# odd: 2^k samples spread over a clip then never fall on the edge between two frames,
# where rounding could pick different frames in two clips that are twins
CLIP_LENGTHS = (15, 17, 19, 21)

# purposes of the random streams of one scene
MOTION, FINGERS, SENSOR, WORKPLACE, PAINT = range(5)

_HOLD_RIGHT = (np.array([-0.45, -0.10, 0.88]), np.array([-0.88, 0.0, -0.45]))
_HOLD_LEFT = (np.array([0.45, -0.10, 0.88]), np.array([0.88, 0.0, -0.45]))
_BEHIND = (np.array([-0.95, -0.05, 0.20]), np.array([-0.20, 0.0, -0.95]))
_ENTERING = (np.array([-0.25, -0.60, 0.75]), np.array([-0.40, 0.75, 0.45]))
_FROM_ABOVE = (np.array([-0.75, 0.30, 0.60]), np.array([-0.10, 0.95, -0.30]))
_RESTING_LEFT = (np.array([0.30, -0.25, 0.90]), np.array([0.15, 0.95, 0.20]))


@dataclass(frozen=True)
class ClipMotion:
    """One clip in the world. T frames, hands (left, right), metres.

    Args:
        joints: (T, 2, 21, 3) in the camera's frame, exact: what is drawn.
        measured: the same with sensor noise, zero where not valid: what is written.
        valid: (T, 2) bool, the hand is in view and tracked.
        head_rotation, head_position: (T, 3, 3) and (T, 3), scene <- camera.
        object_center: (T, 3), scene frame.
        object_tilt: (T, 3), rotation vector away from upright.
    """

    joints: Array
    measured: Array
    valid: np.ndarray
    head_rotation: Array
    head_position: Array
    object_center: Array
    object_tilt: Array

    def to_camera(self, points: Array, frame: int) -> Array:
        """Scene points (..., 3) in the camera's frame of one moment."""
        return (points - self.head_position[frame]) @ self.head_rotation[frame]


@dataclass(frozen=True)
class Stage:
    """The scene frame's part of a clip: two hand poses and the object."""

    hands: tuple[HandPose, HandPose]
    center: Array
    tilt: Array


def simulate_clip(
    config: WorldConfig, sequence: SequencePlan, clip: ClipPlan
) -> ClipMotion:
    """Act out one clip."""
    rng = scene_rng(config, sequence, clip.scene, MOTION)
    num_frames = int(rng.choice(CLIP_LENGTHS))
    verb = clip.action.verb
    if verb.look == "twist":
        fingers = scene_rng(config, sequence, clip.scene, FINGERS)
        stage = _twist(rng, fingers, num_frames, verb.name)
    elif verb.look == "pour":
        stage = _pour(rng, num_frames)
    elif verb.look == "press":
        stage = _press(rng, num_frames)
    else:
        stage = _grab_or_place(rng, num_frames, verb.name)
    sensor = scene_rng(config, sequence, clip.scene, SENSOR)
    return watch(stage, rng, sensor, sequence.subject)


def watch(
    stage: Stage, rng: np.random.Generator, sensor: np.random.Generator, subject: int
) -> ClipMotion:
    """View of a stage from a moving head, and the measurements of its tracker.

    Args:
        stage: hands and object over T frames.
        rng: moves the head and loses hands.
        sensor: adds noise to the joints.
        subject: whose hands they are.
    """
    num_frames = len(stage.center)
    rotation = rotation_matrices(smooth_noise(rng, num_frames, 3, 0.025))
    position = smooth_noise(rng, num_frames, 3, 0.008)
    shape = HandShape.of_subject(subject, HAND_SIZES[subject])
    scene_joints = np.stack(
        [hand_joints(shape, stage.hands[side], side) for side in (LEFT, RIGHT)], axis=1
    )  # (T, 2, 21, 3)
    joints = (scene_joints - position[:, None, None]) @ rotation[:, None]
    valid = _in_view(joints) & _tracked(rng, num_frames)
    measured = joints + sensor.normal(0, SENSOR_NOISE, joints.shape)
    measured = np.where(valid[..., None, None], measured, 0.0)
    return ClipMotion(
        joints, measured, valid, rotation, position, stage.center, stage.tilt
    )


def empty_moments(rng: np.random.Generator, num_frames: int) -> ClipMotion:
    """The pause between two clips: a head that moves, no hands, no object."""
    no_hands = np.zeros((num_frames, 2, NUM_JOINTS, 3))
    nowhere = np.full((num_frames, 3), np.nan)
    return ClipMotion(
        joints=no_hands,
        measured=no_hands,
        valid=np.zeros((num_frames, 2), dtype=bool),
        head_rotation=rotation_matrices(smooth_noise(rng, num_frames, 3, 0.025)),
        head_position=smooth_noise(rng, num_frames, 3, 0.008),
        object_center=nowhere,
        object_tilt=nowhere,
    )


def _grab_or_place(rng: np.random.Generator, num_frames: int, verb: str) -> Stage:
    """Reach, grip, lift and hold; to place is such a motion run backwards.

    Each verb dwells on its result: the object in the air, or left on the table.
    """
    u = np.linspace(0, 1, num_frames)
    early, late = (0.30, 0.70) if verb == "grab" else (0.64, 1.00)
    gripped, lifted = rng.uniform(-0.06, 0.06, 2) + (early, late)
    onset = gripped - rng.uniform(0.26, 0.32)
    reach = minimum_jerk((u - onset) / (gripped - onset))
    lift = minimum_jerk((u - gripped - 0.04) / (lifted - gripped - 0.04))
    rest = np.array([rng.uniform(-0.05, 0.03), rng.uniform(0.03, 0.06), 0.41])
    high = rest + [rng.uniform(-0.03, 0.05), rng.uniform(-0.12, -0.09), -0.04]
    center = blend(rest, high, lift)  # (T, 3)
    grip = center + np.array([0.120, 0.035, -0.055])
    away = np.array([rng.uniform(0.10, 0.22), 0.27, 0.29])
    wrist = grip + (away - grip) * (1 - reach)[:, None]
    hold = minimum_jerk((u - gripped + 0.12) / 0.16)
    right = HandPose(
        wrist=wrist + smooth_noise(rng, num_frames, 3, 0.004),
        distal=blend(_ENTERING[0], _HOLD_RIGHT[0], reach),
        palmar=blend(_ENTERING[1], _HOLD_RIGHT[1], reach),
        flexion=_flexion(rng, 0.10 + 0.42 * hold),
        spread=np.zeros((num_frames, 5)),
    )
    tilt = smooth_noise(rng, num_frames, 3, 0.05) * lift[:, None]
    tilt[:, 1] += rng.uniform(-0.3, 0.3)
    left = _idle_left_hand(rng, num_frames)
    if verb == "place":
        left, right = _reversed(left), _reversed(right)
        center, tilt = center[::-1], tilt[::-1]
    return Stage((left, right), center, tilt)


def _twist(
    rng: np.random.Generator,
    fingers: np.random.Generator,
    num_frames: int,
    verb: str,
) -> Stage:
    """The left hand holds the object; the right works behind it, on its far side.

    Only the four fingers beyond their knuckles know the verb: they swing open or shut.
    """
    place = np.array([rng.uniform(-0.03, 0.03), rng.uniform(0.0, 0.03), 0.28])
    center = place + smooth_noise(rng, num_frames, 3, 0.008)
    tilt = smooth_noise(rng, num_frames, 3, 0.03) + [0.0, 0.0, TWIST_ROLL]
    left = HandPose(
        wrist=center + [-0.115, 0.05, -0.02] + smooth_noise(rng, num_frames, 3, 0.002),
        distal=np.tile(_HOLD_LEFT[0], (num_frames, 1)),
        palmar=np.tile(_HOLD_LEFT[1], (num_frames, 1)),
        flexion=_flexion(rng, np.full(num_frames, 0.5)),
        spread=np.zeros((num_frames, 5)),
    )
    flexion = _flexion(rng, np.full(num_frames, 0.3))
    spread = np.zeros((num_frames, 5))
    flexion[:, 1:], spread[:, 1:] = _hidden_fingers(fingers, num_frames, verb)
    right = HandPose(
        wrist=center + [0.121, 0.01, 0.085] + smooth_noise(rng, num_frames, 3, 0.002),
        distal=np.tile(_BEHIND[0], (num_frames, 1)),
        palmar=np.tile(_BEHIND[1], (num_frames, 1)),
        flexion=flexion,
        spread=spread,
    )
    return Stage((left, right), center, tilt)


def _pour(rng: np.random.Generator, num_frames: int) -> Stage:
    """The right hand holds the object in the air and tips it over to the left."""
    u = np.linspace(0, 1, num_frames)
    place = np.array([rng.uniform(-0.03, 0.03), rng.uniform(-0.07, -0.04), 0.38])
    center = place + smooth_noise(rng, num_frames, 3, 0.006)
    tip = minimum_jerk((u - rng.uniform(-0.2, 0.1)) / rng.uniform(0.25, 0.4))
    tilt = smooth_noise(rng, num_frames, 3, 0.05)
    tilt[:, 2] -= rng.uniform(1.3, 1.7) * tip
    right = HandPose(
        wrist=center + [0.120, 0.035, -0.055] + smooth_noise(rng, num_frames, 3, 0.004),
        distal=np.tile(_HOLD_RIGHT[0], (num_frames, 1)),
        palmar=np.tile(_HOLD_RIGHT[1], (num_frames, 1)),
        flexion=_flexion(rng, np.full(num_frames, 0.5)),
        spread=np.zeros((num_frames, 5)),
    )
    return Stage((_idle_left_hand(rng, num_frames), right), center, tilt)


def _press(rng: np.random.Generator, num_frames: int) -> Stage:
    """The right hand pushes from above, twice, on the object that stands still."""
    u = np.linspace(0, 1, num_frames)
    place = np.array([rng.uniform(-0.05, 0.03), rng.uniform(0.03, 0.06), 0.41])
    center = np.tile(place, (num_frames, 1))
    tilt = np.zeros((num_frames, 3))
    tilt[:, 1] += rng.uniform(-0.3, 0.3)
    pumps = 0.5 - 0.5 * np.cos(4 * np.pi * u + rng.uniform(-0.5, 0.5))  # (T,)
    wrist = center + [0.06, -0.15, -0.08] + smooth_noise(rng, num_frames, 3, 0.004)
    wrist[:, 1] -= 0.07 * pumps
    right = HandPose(
        wrist=wrist,
        distal=np.tile(_FROM_ABOVE[0], (num_frames, 1)),
        palmar=np.tile(_FROM_ABOVE[1], (num_frames, 1)),
        flexion=_flexion(rng, np.full(num_frames, 0.15)),
        spread=np.zeros((num_frames, 5)),
    )
    return Stage((_idle_left_hand(rng, num_frames), right), center, tilt)


def _hidden_fingers(
    rng: np.random.Generator, num_frames: int, verb: str
) -> tuple[Array, Array]:
    """Flexion and spread of four fingers, (T, 4) each; to close is backwards."""
    u = np.linspace(0, 1, num_frames)
    start = rng.uniform(0.0, 0.25)
    swing = minimum_jerk((u - start) / rng.uniform(0.5, 0.75))[:, None]
    curled, straight = rng.uniform(0.64, 0.76, 4), rng.uniform(0.20, 0.28, 4)
    flexion = curled + (straight - curled) * swing
    flexion = flexion + smooth_noise(rng, num_frames, 4, 0.02)
    spread = np.repeat(0.24 * swing - 0.12, 4, axis=1)
    return (flexion, spread) if verb == "open" else (flexion[::-1], spread[::-1])


def _idle_left_hand(rng: np.random.Generator, num_frames: int) -> HandPose:
    """The hand that does nothing: at rest, out of view, or leaving while we watch."""
    rest = np.array([rng.uniform(-0.20, -0.13), rng.uniform(0.10, 0.14), 0.34])
    away = np.array([-0.22, 0.34, 0.30])
    leaving = {
        "rests": np.zeros(num_frames),
        "away": np.ones(num_frames),
        "leaves": minimum_jerk(np.linspace(-0.4, 1.2, num_frames)),
    }[str(rng.choice(["rests", "away", "leaves"], p=[0.45, 0.3, 0.25]))]
    return HandPose(
        wrist=blend(rest, away, leaving) + smooth_noise(rng, num_frames, 3, 0.006),
        distal=np.tile(_RESTING_LEFT[0], (num_frames, 1)),
        palmar=np.tile(_RESTING_LEFT[1], (num_frames, 1)),
        flexion=_flexion(rng, np.full(num_frames, rng.uniform(0.15, 0.45))),
        spread=np.zeros((num_frames, 5)),
    )


def _flexion(rng: np.random.Generator, level: Array) -> Array:
    """A level (T,) for all fingers, each a little apart and trembling, (T, 5)."""
    offset = rng.uniform(-0.05, 0.05, 5)
    tremor = smooth_noise(rng, len(level), 5, 0.02)
    return np.clip(level[:, None] + offset + tremor, 0.02, 1.0)


def _reversed(pose: HandPose) -> HandPose:
    fields = ("wrist", "distal", "palmar", "flexion", "spread")
    return replace(pose, **{name: getattr(pose, name)[::-1] for name in fields})


def _in_view(joints: Array) -> np.ndarray:
    """At least half of a hand's joints in the image, (T, 2)."""
    pixels = LENS.project(joints)  # (T, 2, 21, 2)
    size = np.array([LENS.width, LENS.height])
    inside = ((pixels >= 0) & (pixels < size)).all(-1) & (joints[..., 2] > 0.05)
    return inside.mean(-1) >= 0.5


def _tracked(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """A tracker that now and then loses a hand for up to four frames, (T, 2)."""
    tracked = np.ones((num_frames, 2), dtype=bool)
    for side in (LEFT, RIGHT):
        start = int(rng.integers(0, num_frames))
        if rng.random() < 0.2:
            tracked[start : start + int(rng.integers(1, 5)), side] = False
    return tracked
