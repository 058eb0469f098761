"""Hands of a live video: found in its frames beside the model, or out of a file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Condition, Event
from typing import Any

from mmfusion.apis.hands_of import AUTO, EXTRACT, unlike_extracted
from mmfusion.apis.live_sources import Arrival, LiveSource, PlayedHands, PlayedVideo
from mmfusion.apis.sources import HANDS_SUFFIX
from mmfusion.hands import ONE_HAND_SKELETON, HandExtractor, MediaPipeHands
from mmfusion.layouts.skeleton_arrays import SkeletonKind
from mmfusion.utils.errors import InputError, SkeletonError


class LiveHands:
    """Finds the hands of a video's frames in a thread of its own, the newest first.

    While it looks at a frame, those that come wait for it one at a time: each takes the
    place of the one before, which is counted in ``dropped``. So what is found is never
    older than two looks.

    Args:
        video: whose frames are looked at; take :attr:`video` in its place.
        extractor: finds hands in a list of frames, here of one; it may remember those
            before, as :meth:`mmfusion.hands.MediaPipeHands.following` does.
        one_hand: the model reads a single hand.
    """

    def __init__(
        self, video: LiveSource, extractor: HandExtractor, *, one_hand: bool = False
    ) -> None:
        self._source, self._extractor = video, extractor
        self._one_hand = one_hand
        self._newest: Arrival | None = None
        self._is_over = False
        self._changed = Condition()
        self.dropped = 0

    @property
    def video(self) -> LiveSource:
        """The video, whose frames are looked at as they pass."""
        return _Watched(self._source, self)

    def offer(self, arrival: Arrival | None) -> None:
        """Have a look at a frame; None: there will be none."""
        with self._changed:
            if arrival is None:
                self._is_over = True
            else:
                self.dropped += self._newest is not None
                self._newest = arrival
            self._changed.notify()

    def arrivals(self, start: float, stop: Event) -> Iterator[Arrival]:
        """Joints and mask of the frames that were looked at, at their times."""
        while (arrival := self._take(stop)) is not None:
            found = self._extractor([arrival.data])
            found = found.as_one_hand() if self._one_hand else found
            joints = (found.keypoint[0], found.valid[0])
            yield Arrival("skeleton", arrival.time, arrival.due, joints)

    def _take(self, stop: Event) -> Arrival | None:
        with self._changed:
            while self._newest is None:
                if self._is_over or stop.is_set():
                    return None
                self._changed.wait(0.1)
            arrival, self._newest = self._newest, None
            return arrival


class _Watched:
    """A video, each of whose frames a finder is offered."""

    def __init__(self, source: LiveSource, finder: LiveHands) -> None:
        self._source, self._finder = source, finder

    def arrivals(self, start: float, stop: Event) -> Iterator[Arrival]:
        try:
            for arrival in self._source.arrivals(start, stop):
                self._finder.offer(arrival)
                yield arrival
        finally:
            self._finder.offer(None)


def with_hands(
    video: LiveSource,
    given: str | None,
    skeleton: Mapping[str, Any] | None,
    extractor: HandExtractor | None = None,
) -> tuple[list[LiveSource], str]:
    """Sources of a video and of its hands, and where these are from.

    Args:
        video: the source.
        given: ``auto``: a file beside a played video, else found in its frames where
            the model reads such hands, else none; ``extract``; a file; None for none.
        skeleton: of the data that the model was trained with.
        extractor: finds hands; MediaPipe's if None.

    Raises:
        InputError: a file for what is no played video. SkeletonError: found hands are
            not those that the model reads, or the file is none of its kind.
    """
    if given is None:
        return [video], "none"
    kind = SkeletonKind.of(skeleton)
    path = None if given in (AUTO, EXTRACT) else given
    if given == AUTO and isinstance(video, PlayedVideo):
        beside = Path(video.path).with_suffix(HANDS_SUFFIX)
        path = str(beside) if beside.is_file() else None
    if path is not None:
        if not isinstance(video, PlayedVideo):
            raise InputError(
                f"hands is {path!r}; a file of hands goes with a video file that is"
                " played, expected 'extract' or 'none' for a camera or a folder"
            )
        return [video, PlayedHands(path, kind, video.fps)], path
    reason = unlike_extracted(skeleton or {})
    if reason is not None:
        if given == EXTRACT:
            raise SkeletonError("hands of a live video", reason)
        return [video], f"none: {reason}"
    is_one = (skeleton or {}).get("hands") == ONE_HAND_SKELETON["hands"]
    if extractor is None:
        extractor = MediaPipeHands(one_hand=is_one).following()
    finder = LiveHands(video, extractor, one_hand=is_one)
    return [finder.video, finder], "found in the frames"
