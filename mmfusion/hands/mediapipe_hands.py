"""MediaPipe's hands: looked for in a picture, followed in both directions of time."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmfusion.hands.crops import overlap, squares_over
from mmfusion.hands.finds import (
    SAME_PLACE,
    SIZE,
    Find,
    HandModel,
    same_hand,
    track_of,
)
from mmfusion.hands.interpreter import Network
from mmfusion.hands.model_files import load_models
from mmfusion.hands.palms import SIZE as PALM_SIZE
from mmfusion.hands.palms import PalmDetector
from mmfusion.hands.past import Past
from mmfusion.hands.sides import Sighting, place_hands
from mmfusion.hands.tracks import HandExtractor, HandTracks
from mmfusion.utils.errors import InputError

# frames without a hand from one sweep to the next; the last one for all further sweeps
_WAITS = (4, 8, 16, 32, 60)
# sweep by sweep: sides of its squares, in shares of the picture's longer side, and
# whether they are looked at faded
_SWEEPS = ((0.45, False), (0.45, True), (0.3, False), (0.45, True), (0.65, True))


class MediaPipeHands:
    """Hands by MediaPipe's palm detector and hand model, on the CPU.

    The first frame is searched for palms; then each hand is looked for where it was
    seen last, and where it would be had it gone on. Palms are searched again in the
    frame where a hand is lost, and every ``search_every`` frames while fewer than
    ``max_hands`` are followed. A new hand is followed backward, too, through the
    ``look_back`` frames before.

    Fists seen from behind, silhouettes and blurred hands have no palm that the detector
    sees. So where it finds none, the hand model itself sweeps over the picture: in the
    first such frame, then ever more rarely, up to once in 60 frames; now in colour, now
    without, where silhouettes are seen.

    Args:
        models: the wheel or a folder of the model files, see
            :func:`mmfusion.hands.model_files.load_models`; None fetches them once.
        max_hands: 1 or 2.
        one_hand: the clips show one hand: it has a single place, h = 1, whatever side
            it looks like, and no second one is looked for.
        min_score: smallest score of a palm, 0 to 1.
        tracking: False searches every frame for palms and does no more, and says left
            or right by that frame alone.
        search_every: frames from one search to the next.
        look_back: frames through which a new hand is followed backward; they are kept
            in memory, 0.9 MB each at most. 0 for none.
        sweep: False leaves the search to the palm detector.
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
        one_hand: bool = False,
        min_score: float = 0.3,
        tracking: bool = True,
        search_every: int = 5,
        look_back: int = 60,
        sweep: bool = True,
        mirrored: bool = False,
    ) -> None:
        if max_hands not in (1, 2):
            raise InputError(f"max_hands is {max_hands!r}, expected 1 or 2")
        if not 0 < min_score < 1:
            raise InputError(f"min_score is {min_score!r}, expected between 0 and 1")
        if search_every < 1:
            raise InputError(f"search_every is {search_every!r}, expected 1 or more")
        if look_back < 0:
            raise InputError(f"look_back is {look_back!r}, expected 0 or more")
        palm, hand = load_models(models)
        self._palms = PalmDetector(Network(palm, PALM_SIZE, 2), min_score)
        self._hand = HandModel(Network(hand, SIZE, 3), mirrored)
        self._max_hands = 1 if one_hand else max_hands
        self._one_hand = one_hand
        self._tracking = tracking
        self._search_every = search_every
        self._look_back = look_back if tracking else 0
        self._sweep = sweep and tracking

    def __call__(self, frames: Iterable[np.ndarray]) -> HandTracks:
        return self._hands(frames, _Following(self._look_back))

    def following(self) -> HandExtractor:
        """An extractor that goes on from call to call, for the frames of a stream.

        It does not look back: what it has told is told.
        """
        state = _Following(0)
        return lambda frames: self._hands(frames, state)

    def _hands(self, frames: Iterable[np.ndarray], state: "_Following") -> HandTracks:
        found: list[list[Find]] = []  # hands of each frame
        scales: list[np.ndarray] = []
        for picture in frames:
            found.append(self._look(picture, state))
            height, width = picture.shape[:2]
            scales.append(np.array([width, height, width], np.float64))
        hands = place_hands(_sightings(found, scales), len(found))
        return hands.as_one_hand() if self._one_hand else hands

    def _look(self, picture: np.ndarray, state: "_Following") -> list[Find]:
        """Hands of the next frame; later frames may add to the list."""
        finds = self._follow(picture, state.followed)
        tracks = [find.track for find in finds]
        lost = [find for find in state.followed if find.track not in tracks]
        state.since += 1
        if len(finds) < self._max_hands and (
            not finds or lost or state.since >= self._search_every
        ):
            state.since = 0
            new = self._search(picture, finds)
            if self._sweep and not (finds or new) and state.sweeps.is_due():
                new = self._swept(picture, *state.sweeps.next_sweep())
            for find in new:
                track = track_of(find, lost)
                if track is None:
                    track = self._follow_back(find, state.num_tracks, state.past)
                    state.num_tracks = max(state.num_tracks, track + 1)
                finds.append(replace(find, track=track))
        state.sweeps.count(seen=bool(finds))
        state.past.add(picture, finds)
        state.followed = finds if self._tracking else []
        return finds

    def _follow(self, picture: np.ndarray, followed: list[Find]) -> list[Find]:
        """The hands that are still where they are expected."""
        finds: list[Find] = []
        for before in followed:
            find = self._hand.follow(picture, before)
            if find is not None and same_hand(find, finds) is None:
                finds.append(find)
        return finds

    def _search(self, picture: np.ndarray, known: list[Find]) -> list[Find]:
        """Hands of palms where none is known yet."""
        finds: list[Find] = []
        for square in self._palms(picture):
            if len(known) + len(finds) == self._max_hands:
                break
            if any(overlap(square, find.square) > SAME_PLACE for find in known):
                continue
            find = self._hand(picture, square)
            if find is not None and same_hand(find, known + finds) is None:
                finds.append(find)
        return finds

    def _swept(self, picture: np.ndarray, share: float, faded: bool) -> list[Find]:
        """The surest hand of all squares of a size; none where a second look fails."""
        height, width = picture.shape[:2]
        squares = squares_over(height, width, share)
        finds = [self._hand(picture, square, faded=faded) for square in squares]
        seen = [find for find in finds if find is not None]
        if not seen:
            return []
        surest = max(seen, key=lambda find: find.presence)
        best = self._hand(picture, surest.square, faded=faded)
        return [] if best is None else [best]

    def _follow_back(self, find: Find, track: int, past: Past) -> int:
        """Follow a new hand through the pictures before, and note it there.

        Returns:
            ``track``, or that of the known hand which it turns out to be.
        """
        noted: list[tuple[list[Find], Find]] = []
        for moment in past:  # the newest first
            if len(moment.finds) >= self._max_hands:
                break
            smaller = self._hand.follow(moment.picture, find.scaled(moment.scale))
            if smaller is None:
                break
            find = smaller.scaled(1 / moment.scale)
            known = same_hand(find, moment.finds)
            if known is not None:
                track = known.track
                break
            noted.append((moment.finds, find))
        for finds, earlier in noted:
            finds.append(replace(earlier, track=track))
        return track


class _Following:
    """Hands that are followed through a video, and when palms were searched last."""

    def __init__(self, look_back: int) -> None:
        self.past = Past(look_back)
        self.sweeps = _Sweeps()
        self.followed: list[Find] = []
        self.since = self.num_tracks = 0  # frames since the last search


class _Sweeps:
    """Order of the sweeps over pictures in which no palm is found."""

    def __init__(self) -> None:
        self._wait = self._next = self._done = 0  # frames, place in _WAITS, sweeps

    def is_due(self) -> bool:
        return self._wait <= 0

    def next_sweep(self) -> tuple[float, bool]:
        """Size of the squares of the sweep that is done now, and whether faded."""
        self._wait = _WAITS[min(self._next, len(_WAITS) - 1)]
        self._next += 1
        self._done += 1
        return _SWEEPS[(self._done - 1) % len(_SWEEPS)]

    def count(self, *, seen: bool) -> None:
        """Count a frame."""
        self._wait -= 1
        if seen:
            self._wait = self._next = 0


def _sightings(found: list[list[Find]], scales: list[np.ndarray]) -> list[Sighting]:
    """The hands of all frames, in fractions of each frame's picture."""
    return [
        Sighting(number, find.track, find.joints / scale, find.presence, find.right)
        for number, (finds, scale) in enumerate(zip(found, scales, strict=True))
        for find in finds
    ]
