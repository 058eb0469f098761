"""A video that is read by overlapping windows, from its begin to its end."""

import os
from collections.abc import Iterator, Sequence

import av
import numpy as np

from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.video_index import ToRGB, VideoIndex, decode_all
from mmfusion.datasets.media.video_io import VideoReader, open_video
from mmfusion.utils.errors import VideoDecodeError

MAX_KEPT_BYTES = 2**30  # decoded frames of a window, in the video's own format
_BYTES_A_PIXEL = 1.5  # of 8 bits, 4:2:0, as nearly all videos have


class SequentialVideo(VideoReader):
    """Decode every frame once, and keep those that a later window may ask for.

    Frames are those of ``open_video``, to the last bit. The oldest frame of a call is
    the oldest that is kept: one who asks for an earlier one begins anew. Where the
    video is damaged, this and all later frames are read as ``open_video`` reads them,
    so that what can be read is.

    Args:
        index: of the video. num_threads: threads of the decoder.
    """

    backend = "pyav"

    def __init__(self, index: VideoIndex, num_threads: int = 1) -> None:
        self.path, self.times, self.duration = index.path, index.times, index.duration
        self._index = index
        self._num_threads = num_threads
        self._to_rgb = ToRGB(index.display)
        self._kept: dict[int, av.VideoFrame] = {}
        self._decoded: Iterator[tuple[int, av.VideoFrame]] | None = None
        self._position = -1  # of the frame decoded last
        self._other: VideoReader | None = None

    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        if self._other is not None:
            return self._other._read(index)
        try:
            self._decode_until(int(index[0]), int(index[-1]))
        except VideoDecodeError:
            self._kept, self._decoded = {}, None
            self._other = open_video(self.path, num_threads=self._num_threads)
            return self._other._read(index)
        return {number: self._to_rgb(self._kept[number]) for number in index.tolist()}

    def _decode_until(self, first: int, last: int) -> None:
        """Have the frames ``first`` to ``last``, and none before."""
        if self._decoded is None or (
            first <= self._position and first not in self._kept
        ):
            self._kept, self._position = {}, -1
            self._decoded = decode_all(self._index, self._num_threads)
        for number in [number for number in self._kept if number < first]:
            del self._kept[number]
        while self._position < last:
            self._position, frame = next(self._decoded)
            if self._position >= first:
                self._kept[self._position] = frame


def open_for_windows(
    path: str | os.PathLike,
    spans: Sequence[tuple[float, float]],
    num_threads: int = 1,
) -> VideoReader:
    """Open a video for windows in rising order, by the reader that decodes less.

    A window by itself is decoded from the keyframe before it on, windows in turn by
    one pass over the whole video, which also keeps the frames of a window.

    Args:
        spans: begin and end of each window in seconds.
        num_threads: threads of the decoder.

    Raises:
        VideoDecodeError: it cannot be opened.
    """
    index = read_index(path)
    first, last = np.searchsorted(index.times, np.asarray(spans, np.float64).T)
    before = np.searchsorted(index.keyframes, first, side="right") - 1
    begins = index.keyframes[np.maximum(before, 0)] if len(index.keyframes) else 0
    height, width = index.coded_size
    kept = int((last - first).max()) * height * width * _BYTES_A_PIXEL
    if (last - begins).sum() <= len(index.times) or kept > MAX_KEPT_BYTES:
        return open_video(path, num_threads=num_threads)
    return SequentialVideo(index, num_threads)
