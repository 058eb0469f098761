"""One door to video: ``open_video`` for files, ``open_frames`` for folders of images.

Two decoders stand behind ``open_video``, decord and PyAV. Both honour rotation flags
and choose frames by the table of ``video_index.py``, hence give the same pictures.
"""

import os
from collections.abc import Callable
from typing import Any

import av
import numpy as np
from mmengine.logging import print_log

from mmfusion.datasets.media.frame_folder import open_frames
from mmfusion.datasets.media.video_index import (
    VideoIndex,
    check_frame,
    decode_all,
    first_line,
    open_container,
    read_index,
)
from mmfusion.datasets.media.video_reader import VideoReader
from mmfusion.utils.errors import InputError, VideoDecodeError

__all__ = ["BACKENDS", "VideoReader", "open_frames", "open_video"]

BACKENDS = ("auto", "decord", "pyav")
MAX_CLIP_BYTES = 8 * 2**30  # one call's decoded frames
NO_SUBSTITUTES = 1e-9  # share of a video's frames; decord takes 0 as "any number"

_reported: set[str] = set()


class _IndexedReader(VideoReader):
    """A video file with its table of frame times."""

    def __init__(self, index: VideoIndex, num_threads: int) -> None:
        self.path, self.times, self.duration = index.path, index.times, index.duration
        self.height, self.width = index.size
        self._index = index
        self._num_threads = num_threads

    def _check_bytes(self, num_frames: int) -> None:
        need = num_frames * self.height * self.width * 3
        if need > MAX_CLIP_BYTES:
            reason = f"{num_frames} frames need {need} bytes; limit {MAX_CLIP_BYTES}"
            raise self.broken(reason)


class DecordReader(_IndexedReader):
    """Decode with decord, opened where it reads: its handles do not survive a fork."""

    backend = "decord"

    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        decord = _import_decord()
        self._check_bytes(len(index))
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
        expected = (len(index), self.height, self.width, 3)
        if batch.shape != expected or batch.dtype != np.uint8:
            reason = f"got {batch.dtype} frames {batch.shape}; expected {expected}"
            raise self.broken(reason)
        return {int(number): frame for number, frame in zip(index, batch, strict=True)}

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


class _StampMismatch(Exception):
    """The decoder's time stamps are not the container's: count frames instead."""


class PyAVReader(_IndexedReader):
    """Decode with PyAV, from the nearest keyframe before each wanted frame."""

    backend = "pyav"

    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        self._check_bytes(len(index))
        try:
            if self._index.pts is None:
                return self._read_by_count(index)
            try:
                return self._read_by_stamp(index, self._index.pts)
            except _StampMismatch:  # in AVI
                return self._read_by_count(index)
        except (av.FFmpegError, MemoryError) as error:
            raise self.broken(first_line(error)) from error

    def _read_by_stamp(
        self, index: np.ndarray, pts: np.ndarray
    ) -> dict[int, np.ndarray]:
        """Seek, and know each frame by its time stamp; ``pts`` (n,) of all frames."""
        number_of = {int(stamp): number for number, stamp in enumerate(pts)}
        frames: dict[int, np.ndarray] = {}
        key, position = 0, -1  # where decoding began, the frame decoded last
        with open_container(self.path) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = self._num_threads
            shown = container.decode(stream)
            for wanted in index.tolist():
                nearest = self._keyframe_before(wanted)
                if nearest > position + 1:
                    key, position = nearest, -1
                    container.seek(int(pts[key]), stream=stream)
                    shown = container.decode(stream)
                while position < wanted:
                    frame = next(shown, None)
                    if frame is None:
                        lost = f"{position + 1} frames could be decoded"
                        raise self.broken(f"{lost}; expected {self.num_frames}")
                    number = -1 if frame.pts is None else number_of.get(frame.pts, -1)
                    # some may lack before the keyframe; after it every one follows
                    if not (number == position + 1 or position < number <= key):
                        raise _StampMismatch
                    position = number
                    if position == wanted:
                        frames[wanted] = self._to_rgb(frame)
        return frames

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

    def _to_rgb(self, frame: "av.VideoFrame") -> np.ndarray:
        """(h, w, 3) uint8, upright."""
        check_frame(self._index, frame)
        image = frame.to_ndarray(format="rgb24")
        return np.ascontiguousarray(np.rot90(image, self._index.rotation // 90))


class AutoReader(_IndexedReader):
    """decord first; where it fails, PyAV. The first change is logged, with reason."""

    backend = "auto"

    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        pyav = PyAVReader(self._index, self._num_threads)
        if not self._index.seekable_by_stamp:  # decord would decode from the start
            return pyav._read(index)
        try:
            return DecordReader(self._index, self._num_threads)._read(index)
        except ImportError as error:
            _report_once("import", f"decord does not import ({error}): using PyAV")
            return pyav._read(index)
        except VideoDecodeError as error:
            try:
                frames = pyav._read(index)
            except VideoDecodeError as second:
                reason = f"decord: {error.reason}; pyav: {second.reason}"
                raise VideoDecodeError(self.path, "decord, pyav", reason) from second
            _report_once("decode", f"{error}: using PyAV; further files unreported")
            return frames


def open_video(
    path: str | os.PathLike, backend: str = "auto", num_threads: int = 1
) -> VideoReader:
    """Open a local video file.

    Args:
        path: a file on this machine; URLs and FFmpeg protocols are refused.
        backend: ``decord`` or ``pyav`` are used or raise; ``auto`` may choose.
        num_threads: threads of the decoder; loader workers are parallel already.

    Raises:
        VideoDecodeError: missing, not a video, no frames, or too large.
        ImportError: decord was asked for by name and does not import.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend: got {backend!r}; expected one of {BACKENDS}")
    if backend == "decord":
        _import_decord()
    readers: dict[str, Callable[[VideoIndex, int], VideoReader]] = {
        "auto": AutoReader,
        "decord": DecordReader,
        "pyav": PyAVReader,
    }
    return readers[backend](read_index(path), num_threads)


def _import_decord() -> Any:
    """decord, quiet: its failures come as errors, not as lines on stderr."""
    import decord

    decord.logging.set_level(decord.logging.FATAL)
    return decord


def _report_once(kind: str, message: str) -> None:
    if kind not in _reported:
        _reported.add(kind)
        print_log(message, logger="current", level=30)
