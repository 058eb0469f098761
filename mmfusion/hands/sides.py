"""Left or right: one answer for each hand that is followed through time."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from mmfusion.hands.tracks import HandTracks


@dataclass(frozen=True)
class Sighting:
    """A hand in one frame.

    Attributes:
        frame: counted from 0. track: number of the hand through time.
        joints: (21, 3) fractions of the picture. presence: 0 to 1.
        right: 0 to 1, that it is a right hand.
    """

    frame: int
    track: int
    joints: np.ndarray
    presence: float
    right: float


def place_hands(sightings: list[Sighting], num_frames: int) -> HandTracks:
    """Put each hand into the left or the right place for as long as it is followed.

    The frames of a hand vote, each with how sure it is. Two hands that are seen
    together are never both left: the one with the clearer vote, summed over its frames,
    keeps its side and the other takes what is free.

    Args:
        sightings: in any order. num_frames: of the clip.
    """
    keypoint = np.zeros((num_frames, 2, 21, 3), np.float32)
    score = np.zeros((num_frames, 2), np.float32)
    valid = np.zeros((num_frames, 2), bool)
    tracks: defaultdict[int, list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        tracks[sighting.track].append(sighting)
    for track in sorted(tracks.values(), key=lambda track: -abs(_vote(track))):
        frames = [sighting.frame for sighting in track]
        side = int(_vote(track) > 0)
        taken = valid[frames].sum(axis=0)  # (2,) frames in which a side is not free
        if taken[side] > taken[1 - side]:
            side = 1 - side
        for sighting in track:
            if not valid[sighting.frame, side]:
                keypoint[sighting.frame, side] = sighting.joints
                score[sighting.frame, side] = sighting.presence
                valid[sighting.frame, side] = True
    return HandTracks(keypoint, valid, score, np.arange(num_frames))


def _vote(track: list[Sighting]) -> float:
    """Vote of a hand's frames: above 0 right, below 0 left."""
    return sum(sighting.right - 0.5 for sighting in track)
