"""One door to video: ``open_video`` for files, ``open_frames`` for folders of images.

PyAV decodes, and a frame at a time is what a full decode shows at that time, as players
show it, or an error. decord stands beside it, by name, for who compares with code that
uses it: it is checked against PyAV, since it tells neither damage nor a wrong seek.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import av
import cv2
import numpy as np

from mmfusion.datasets.media.frame_folder import open_frames
from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.spare_packets import is_spare
from mmfusion.datasets.media.video_index import (
    ToRGB,
    VideoIndex,
    check_frame,
    decode_all,
    first_line,
    open_container,
)
from mmfusion.datasets.media.video_reader import VideoReader
from mmfusion.utils.errors import InputError, MediaError

__all__ = ["BACKENDS", "VideoReader", "open_frames", "open_video"]

BACKENDS = ("auto", "decord", "pyav")
MAX_CLIP_BYTES = 8 * 2**30  # one call's decoded frames
NO_SUBSTITUTES = 1e-9  # share of a video's frames; decord takes 0 as "any number"
ROUNDING = 2  # of 255: two versions of FFmpeg may differ by that


class _IndexedReader(VideoReader):
    """A video file with its table of frame times."""

    def __init__(self, index: VideoIndex, num_threads: int) -> None:
        self.path, self.times, self.duration = index.path, index.times, index.duration
        self.height, self.width = index.size
        self._index = index
        self._num_threads = num_threads
        self._to_rgb = ToRGB(index.display)

    def _check_bytes(self, num_frames: int) -> None:
        need = num_frames * self.height * self.width * 3
        if need > MAX_CLIP_BYTES:
            reason = f"{num_frames} frames need {need} bytes; limit {MAX_CLIP_BYTES}"
            raise self.broken(reason)


class _StampMismatch(Exception):
    """The container's stamps or keyframes are not the decoder's: count frames."""


class _Decoded:
    """Frames of a stream by their number, without those that nobody needs.

    Args:
        index: of the video. pts: (n,) time stamps of all frames.
        wanted: numbers of the frames that are asked for.
    """

    def __init__(self, index: VideoIndex, pts: np.ndarray, wanted: set[int]) -> None:
        self._index, self._pts, self._wanted = index, pts, wanted
        self._passed: set[int] = set()

    def number_of(self, stamp: int | None) -> int:
        """Number of the frame with that time stamp; -1 where there is none."""
        if stamp is None:
            return -1
        place = int(self._pts.searchsorted(stamp))
        return place if place < len(self._pts) and self._pts[place] == stamp else -1

    def follows(self, position: int, number: int) -> bool:
        """True if no frame is lost between these two, in the order shown."""
        return number > position and self._passed.issuperset(
            range(position + 1, number)
        )

    def frames(
        self,
        container: "av.container.InputContainer",
        stream: "av.video.stream.VideoStream",
    ) -> Iterator[tuple[int, "av.VideoFrame"]]:
        """Frames from here on, while each packet lies where the index found it.

        Without a table (AVI without idx1) a seek may land on a neighbour and give it
        the time stamp that was asked for.
        """
        index, context = self._index, stream.codec_context
        if index.stamped:
            context.reorder_depth = index.reorder_depth  # a seek may forget it
        for packet in container.demux(stream):
            number = self.number_of(packet.pts)
            if number >= 0:
                if packet.pos not in (None, index.positions[number]):
                    raise _StampMismatch
                if number not in self._wanted and is_spare(
                    packet, index.nal_length_size
                ):
                    self._passed.add(number)
                    continue
            for frame in packet.decode():
                yield self.number_of(frame.pts), frame


class PyAVReader(_IndexedReader):
    """Decode with PyAV, from the nearest keyframe before each wanted frame."""

    backend = "pyav"

    def stream(self) -> Iterator[np.ndarray]:
        for _, frame in decode_all(self._index, self._num_threads):
            yield self._to_rgb(frame)

    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        self._check_bytes(len(index))
        try:
            if self._index.pts is None:
                return self._read_by_count(index)
            try:
                return self._read_by_stamp(index, self._index.pts)
            except _StampMismatch:  # in AVI, or where no table of keyframes is
                return self._read_by_count(index)
        except (av.FFmpegError, MemoryError) as error:
            raise self.broken(first_line(error)) from error

    def _read_by_stamp(
        self, index: np.ndarray, pts: np.ndarray
    ) -> dict[int, np.ndarray]:
        """Seek, and know each frame by its time stamp; ``pts`` (n,) of all frames."""
        frames: dict[int, np.ndarray] = {}
        key, position = 0, -1  # where decoding began, the frame decoded last
        with open_container(self.path, probe=not self._index.stamped) as container:
            stream = container.streams.video[self._index.stream]
            stream.codec_context.thread_count = self._num_threads
            decoded = _Decoded(self._index, pts, set(index.tolist()))
            shown = decoded.frames(container, stream)
            for wanted in index.tolist():
                nearest = self._keyframe_before(wanted)
                if nearest > position + 1:
                    self._check_pending(stream, position, decoded)
                    key, position = nearest, -1
                    container.seek(int(pts[key]), stream=stream)
                    shown = decoded.frames(container, stream)
                while position < wanted:
                    number, frame = next(shown, (-1, None))
                    if frame is None:
                        raise _StampMismatch
                    # some may lack before the keyframe; after it every one follows
                    if not (
                        decoded.follows(position, number) or position < number <= key
                    ):
                        raise _StampMismatch
                    if number == key > 0 and not frame.key_frame:
                        raise _StampMismatch
                    if number >= key:
                        check_frame(self._index, frame)
                    position = number
                    if position == wanted:
                        frames[wanted] = self._to_rgb(frame)
            self._check_pending(stream, position, decoded)
        return frames

    def _check_pending(
        self,
        stream: "av.video.stream.VideoStream",
        position: int,
        decoded: "_Decoded",
    ) -> None:
        """Refuse a frame made from one that is shown after it and is damaged.

        Such a one is decoded already. The decoder is at its end afterwards, until a
        seek.

        Args:
            stream: that decodes. position: number of the frame; -1: none.
            decoded: of the stream.
        """
        if position < 0:
            return
        pending: list[av.VideoFrame] = []
        with contextlib.suppress(av.FFmpegError):  # the file had ended
            pending = stream.codec_context.decode(None)
        stored = self._index.positions
        for frame in pending:
            number = decoded.number_of(frame.pts)
            if number > position and stored[number] <= stored[position]:
                check_frame(self._index, frame)  # decoded before it

    def _keyframe_before(self, number: int) -> int:
        place = np.searchsorted(self._index.keyframes, number, side="right") - 1
        return int(self._index.keyframes[place]) if place >= 0 else 0

    def _read_by_count(self, index: np.ndarray) -> dict[int, np.ndarray]:
        """Decode all and count: a frame lost on the way shows in the count only."""
        wanted = set(index.tolist())
        return {
            number: self._to_rgb(frame)
            for number, frame in decode_all(self._index, self._num_threads)
            if number in wanted
        }


class DecordReader(_IndexedReader):
    """Decode with decord, opened where it reads: its handles do not survive a fork.

    Each frame is compared with PyAV's.
    """

    backend = "decord"

    def broken(self, reason: str) -> MediaError:
        return super().broken(f"{reason}; try backend 'pyav'")

    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        expected = PyAVReader(self._index, self._num_threads)._read(index)
        decord = _import_decord()
        try:
            source = decord.VideoReader(
                self.path,
                ctx=decord.cpu(0),
                num_threads=self._num_threads,
                # else it gives the frame read before in place of one it lost, silently
                fault_tol=NO_SUBSTITUTES,
            )
            if len(source) != self.num_frames:
                reason = f"decord counts {len(source)} frames, not {self.num_frames}"
                raise self.broken(reason)
            batch = self._batch(source, index)  # (n, h, w, 3)
        except (
            decord.DECORDError,
            decord.DECORDLimitReachedError,  # no subclass of it
            RuntimeError,
            MemoryError,
            IndexError,
        ) as error:
            raise self.broken(first_line(error)) from error
        return {
            number: self._checked(number, frame, expected[number])
            for number, frame in zip(index.tolist(), batch, strict=True)
        }

    def _checked(
        self, number: int, frame: np.ndarray, expected: np.ndarray
    ) -> np.ndarray:
        """A frame (h, w, 3) that is the expected one, its pixels made square."""
        height, width = expected.shape[:2]
        if frame.shape != expected.shape:  # decord turns pictures, and that is all
            frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
        if np.abs(frame.astype(np.int16) - expected).max() > ROUNDING:
            reason = f"frame {number} is not what a full decode shows"
            raise self.broken(reason)
        return frame

    def _batch(self, source: Any, index: np.ndarray) -> np.ndarray:
        """Frames (n, h, w, 3).

        In an open group of pictures decord 0.6 counts frames from the keyframe as they
        are stored: after a seek it gives frames a few places late (3 in the HEVC clips
        of phones) without an error. And it skips by a list of time stamps, which its
        reading thread fills and clears and its decoding thread looks at: where packets
        have no stamp (B-frames in AVI), a wanted frame without one is thrown away if
        the decoding thread is ahead (one in ten last frames of an XVID clip on a busy
        machine; dmlc/decord#195). Both kinds of file are read frame by frame from the
        start, without seeking and without skipping.
        """
        if self._index.seekable_by_stamp:
            return source.get_batch(index.tolist()).asnumpy()
        wanted = set(index.tolist())
        frames = (source.next() for _ in range(int(index[-1]) + 1))
        return np.stack([f.asnumpy() for i, f in enumerate(frames) if i in wanted])


def open_video(
    path: str | os.PathLike, backend: str = "auto", num_threads: int = 1
) -> VideoReader:
    """Open a local video file.

    Args:
        path: a file on this machine; URLs and FFmpeg protocols are refused.
        backend: ``auto`` is ``pyav``; ``decord`` is slower here, for it is checked.
        num_threads: threads of the decoder; loader workers are parallel already.

    Raises:
        VideoDecodeError: missing, not a video, no frames, or too large.
        ImportError: decord was asked for by name and does not import.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend: got {backend!r}; expected one of {BACKENDS}")
    if backend == "decord":
        _import_decord()
        return DecordReader(read_index(path), num_threads)
    return PyAVReader(read_index(path), num_threads)


def _import_decord() -> Any:
    """decord, quiet: its failures come as errors, not as lines on stderr."""
    import decord

    decord.logging.set_level(decord.logging.FATAL)
    return decord
