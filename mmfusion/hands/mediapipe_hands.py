"""MediaPipe's hands: palms are looked for, then each hand is followed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmfusion.hands.crops import Square, overlap, square_of_joints
from mmfusion.hands.interpreter import Network
from mmfusion.hands.model_files import load_models
from mmfusion.hands.palms import SIZE as PALM_SIZE
from mmfusion.hands.palms import PalmDetector
from mmfusion.hands.sides import Sighting, place_hands
from mmfusion.hands.tracks import HandTracks
from mmfusion.utils.errors import InputError

SIZE = 224  # pixels a side of the hand model's input
_DEPTH = 0.4  # the hand model's z is in units of this share of its input
_MIN_PRESENCE = 0.5  # of a hand in its square, MediaPipe's own
_SAME_PLACE = 0.5  # overlap of two squares of one hand
_SAME_JOINTS = 0.1  # mean distance of two finds of one hand, in sides of the square


@dataclass(frozen=True)
class _Find:
    """A hand of one frame.

    Attributes:
        joints: (21, 3) pixels of the picture. presence: 0 to 1. right: 0 to 1, that it
            is a right hand in an unmirrored picture. square: where it is next. track:
            number of the hand through time.
    """

    joints: np.ndarray
    presence: float
    right: float
    square: Square
    track: int


class MediaPipeHands:
    """Hands by MediaPipe's palm detector and hand model, on the CPU.

    The first frame is searched for palms; then each hand is looked for where it was
    seen last. Palms are searched again in the frame where a hand is lost, and every
    ``search_every`` frames while fewer than ``max_hands`` are followed.

    Args:
        models: the wheel or a folder of the model files, see
            :func:`mmfusion.hands.model_files.load_models`; None fetches them once.
        max_hands: 1 or 2.
        min_score: smallest score of a palm, 0 to 1.
        tracking: False searches every frame for palms, and says left or right by that
            frame alone.
        search_every: frames from one search to the next.
        mirrored: the pictures are mirrored, as a webcam's preview often is. Those of a
            camera on the head are not.

    Example::

        hands = MediaPipeHands()(frames)  # HandTracks
    """

    def __init__(
        self,
        models: str | Path | None = None,
        *,
        max_hands: int = 2,
        min_score: float = 0.3,
        tracking: bool = True,
        search_every: int = 5,
        mirrored: bool = False,
    ) -> None:
        if max_hands not in (1, 2):
            raise InputError(f"max_hands is {max_hands!r}, expected 1 or 2")
        if not 0 < min_score < 1:
            raise InputError(f"min_score is {min_score!r}, expected between 0 and 1")
        if search_every < 1:
            raise InputError(f"search_every is {search_every!r}, expected 1 or more")
        palm, hand = load_models(models)
        self._palms = PalmDetector(Network(palm, PALM_SIZE, 2), min_score)
        self._hand = Network(hand, SIZE, 3)
        self._max_hands = max_hands
        self._tracking = tracking
        self._search_every = search_every
        self._mirrored = mirrored

    def __call__(self, frames: Iterable[np.ndarray]) -> HandTracks:
        sightings: list[Sighting] = []
        followed: list[_Find] = []
        since = num_tracks = number = 0  # frames since the last search
        for number, picture in enumerate(frames, start=1):
            finds = self._follow(picture, followed)
            lost = [
                find for find in followed if all(f.track != find.track for f in finds)
            ]
            since += 1
            if len(finds) < self._max_hands and (
                not finds or lost or since >= self._search_every
            ):
                since = 0
                for find in self._search(picture, finds):
                    before = _track_of(find, lost)
                    if before is None:
                        before, num_tracks = num_tracks, num_tracks + 1
                    finds.append(replace(find, track=before))
            height, width = picture.shape[:2]
            scale = np.array([width, height, width], np.float64)
            sightings += [
                Sighting(number - 1, f.track, f.joints / scale, f.presence, f.right)
                for f in finds
            ]
            followed = finds if self._tracking else []
        return place_hands(sightings, number)

    def _follow(self, picture: np.ndarray, followed: list[_Find]) -> list[_Find]:
        """The hands that are still where they are expected."""
        finds: list[_Find] = []
        for before in followed:
            find = self._look(picture, before.square, before.track)
            if find is not None and not _is_known(find, finds):
                finds.append(find)
        return finds

    def _search(self, picture: np.ndarray, known: list[_Find]) -> list[_Find]:
        """Hands of palms where none is known yet."""
        finds: list[_Find] = []
        for square in self._palms(picture):
            if len(known) + len(finds) == self._max_hands:
                break
            if any(overlap(square, f.square) > _SAME_PLACE for f in known):
                continue
            find = self._look(picture, square, -1)
            if find is not None and not _is_known(find, known + finds):
                finds.append(find)
        return finds

    def _look(self, picture: np.ndarray, square: Square, track: int) -> _Find | None:
        """The hand in a square of the picture, if one is there."""
        raw, presence, right = self._hand(square.crop(picture, SIZE))
        if float(presence.item()) < _MIN_PRESENCE:
            return None
        joints = raw.reshape(21, 3).astype(np.float64)
        joints[:, 2] /= _DEPTH
        joints = square.to_picture(joints, SIZE)
        height, width = picture.shape[:2]
        plane = joints[:, :2] / [width, height]
        if plane.min() <= -1 or plane.max() >= 2:  # no hand is so far outside
            return None
        # MediaPipe calls this output "Left", of mirrored pictures
        unmirrored = float(right.item())
        probability = 1 - unmirrored if self._mirrored else unmirrored
        ahead = square_of_joints(joints)
        return _Find(joints, float(presence.item()), probability, ahead, track)


def _is_known(find: _Find, others: list[_Find]) -> bool:
    """Tell whether the same hand was found already."""
    for other in others:
        away = np.linalg.norm((find.joints - other.joints)[:, :2], axis=1).mean()
        if away < _SAME_JOINTS * max(find.square.side, other.square.side):
            return True
    return False


def _track_of(find: _Find, lost: list[_Find]) -> int | None:
    """Number of the lost hand that was found again; it is taken from the list."""
    for other in lost:
        if overlap(find.square, other.square) > _SAME_PLACE / 2:
            lost.remove(other)
            return other.track
    return None
