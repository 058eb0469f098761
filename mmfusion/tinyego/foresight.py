"""The pause before an action: the object that comes, and hands that give it away."""

from __future__ import annotations

import numpy as np

from .geometry import smooth_noise
from .hands import HandPose
from .motion import ClipMotion, Stage, watch

# wrist, distal, palmar of the right hand; the left one is its mirror image
_LOW = ([0.17, 0.12, 0.34], [-0.30, -0.25, 0.90], [-0.15, 0.95, 0.20])
_HIGH = ([0.22, -0.06, 0.42], [-0.30, -0.55, 0.75], [-0.15, 0.75, 0.55])
_AWAY = ([0.22, 0.40, 0.30], [-0.30, -0.25, 0.90], [-0.15, 0.95, 0.20])
# left and right hand by the verb's look
_HANDS = {
    "grab": (_AWAY, _LOW),
    "place": (_LOW, _AWAY),
    "twist": (_LOW, _LOW),
    "pour": (_AWAY, _HIGH),
    "press": (_AWAY, _AWAY),
}
_WAITING = np.array([-0.10, -0.06, 0.50])  # metres: the far left of the table


def wait(
    rng: np.random.Generator,
    sensor: np.random.Generator,
    num_frames: int,
    verb_look: str,
    subject: int,
) -> ClipMotion:
    """Hands at rest as before a verb of this look, and an object that stands and waits.

    Args:
        rng: everything that varies.
        sensor: noise of the joints.
        num_frames: T.
        verb_look: a look of the kitchen's verbs.
        subject: whose hands.
    """
    left, right = _HANDS[verb_look]
    place = _WAITING + rng.uniform(-0.02, 0.02, 3)
    tilt = np.zeros((num_frames, 3))
    tilt[:, 1] += rng.uniform(-0.3, 0.3)
    stage = Stage(
        (
            _resting(rng, num_frames, left, mirrored=True),
            _resting(rng, num_frames, right, mirrored=False),
        ),
        np.tile(place, (num_frames, 1)),
        tilt,
    )
    return watch(stage, rng, sensor, subject)


def _resting(
    rng: np.random.Generator, num_frames: int, at: tuple, *, mirrored: bool
) -> HandPose:
    flip = np.array([-1.0 if mirrored else 1.0, 1.0, 1.0])
    wrist, distal, palmar = (np.asarray(vector) * flip for vector in at)
    still = rng.uniform(-0.02, 0.02, 3) + smooth_noise(rng, num_frames, 3, 0.005)
    level = rng.uniform(0.15, 0.45) + rng.uniform(-0.05, 0.05, 5)
    return HandPose(
        wrist=wrist + still,
        distal=np.tile(distal, (num_frames, 1)),
        palmar=np.tile(palmar, (num_frames, 1)),
        flexion=np.tile(np.clip(level, 0.02, 1.0), (num_frames, 1)),
        spread=np.zeros((num_frames, 5)),
    )
