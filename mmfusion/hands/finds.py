"""Hands of single pictures: the hand model, and which finds are of one hand."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from mmfusion.hands.crops import Square, overlap, square_of_joints
from mmfusion.hands.interpreter import Network

SIZE = 224  # pixels a side of the hand model's input
_DEPTH = 0.4  # the hand model's z is in units of this share of its input
FOUND, FOLLOWED = 0.5, 0.3  # smallest presence of a new hand, of one that is known
_BRIGHTER = (255 * (np.arange(256) / 255) ** 0.6).round().astype(np.uint8)
_WIDER = 1.25  # times the side, where a hand is lost
SAME_PLACE = 0.5  # overlap of two squares of one hand
_SAME_JOINTS = 0.1  # mean distance of two finds of one hand, in sides of the square


@dataclass(frozen=True)
class Find:
    """A hand of one picture.

    Attributes:
        joints: (21, 3) pixels of the picture. presence: 0 to 1. right: 0 to 1, that it
            is a right hand in an unmirrored picture. square: where it is next. step:
            (x, y) pixels that the square went since the picture before. track: number
            of the hand through time, -1 where it has none yet.
    """

    joints: np.ndarray
    presence: float
    right: float
    square: Square
    step: tuple[float, float] = (0.0, 0.0)
    track: int = -1

    def scaled(self, factor: float) -> "Find":
        """The hand in the same picture of ``factor`` times the size."""
        return replace(
            self,
            joints=self.joints * factor,
            square=self.square.scaled(factor),
            step=(self.step[0] * factor, self.step[1] * factor),
        )


class HandModel:
    """MediaPipe's hand model, asked for the hand in a square of a picture.

    Args:
        network: the model file. mirrored: the pictures are.
    """

    def __init__(self, network: Network, mirrored: bool) -> None:
        self._network = network
        self._mirrored = mirrored

    def __call__(
        self,
        picture: np.ndarray,
        square: Square,
        *,
        least: float = FOUND,
        faded: bool = False,
    ) -> Find | None:
        """The hand in a square of a picture (h, w, 3) uint8.

        Args:
            least: smallest presence. faded: look at it without its colour, brighter:
                so hands are seen that are dark before something bright.

        Returns:
            None where no hand is there.
        """
        crop = square.crop(picture, SIZE)
        raw, presence, right = self._network(_fade(crop) if faded else crop)
        if float(presence.item()) < least:
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
        return Find(joints, float(presence.item()), probability, ahead)

    def follow(self, picture: np.ndarray, before: Find) -> Find | None:
        """The hand of the picture before (or after), in this one (h, w, 3).

        It is looked for where it was, where it is if it went on as it did, in a wider
        square, and faded.
        """
        place = before.square
        ahead = place.moved(*before.step)
        wider = place.widened(_WIDER)
        for square, faded in (place, 0), (ahead, 0), (wider, 0), (ahead, 1):
            if square is ahead and not (faded or any(before.step)):
                continue
            find = self(picture, square, least=FOLLOWED, faded=bool(faded))
            if find is not None:
                step = (find.square.x - place.x, find.square.y - place.y)
                return replace(find, step=step, track=before.track)
        return None


def _fade(crop: np.ndarray) -> np.ndarray:
    """A crop (h, w, 3) without its colour, dark parts brighter."""
    grey = cv2.LUT(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), _BRIGHTER)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)


def same_hand(find: Find, others: list[Find]) -> Find | None:
    """The one of ``others``, of the same picture, that is the same hand."""
    for other in others:
        away = np.linalg.norm((find.joints - other.joints)[:, :2], axis=1).mean()
        near = away < _SAME_JOINTS * max(find.square.side, other.square.side)
        if near or overlap(find.square, other.square) > SAME_PLACE:
            return other
    return None


def track_of(find: Find, lost: list[Find]) -> int | None:
    """Number of the lost hand that was found again; it is taken from the list."""
    for other in lost:
        if overlap(find.square, other.square) > SAME_PLACE / 2:
            lost.remove(other)
            return other.track
    return None
