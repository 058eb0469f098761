"""One door to video: ``open_video`` for files, ``open_frames`` for folders of images.

A reader gives RGB frames by seconds or by index. Two decoders stand behind
``open_video``: decord and PyAV; both honour rotation flags and choose frames by the
table of :mod:`mmfusion.datasets.video_index`, hence give the same pictures.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import av
import cv2
import numpy as np
from mmengine.logging import print_log

from mmfusion.datasets.errors import (
    FrameFolderError,
    MediaError,
    VideoDecodeError,
)
from mmfusion.datasets.video_index import (
    VideoIndex,
    first_line,
    open_container,
    read_index,
)

BACKENDS = ("auto", "decord", "pyav")
MAX_CLIP_BYTES = 8 * 2**30  # one call's decoded frames
CLAMP_SECONDS = 0.5  # labels may end a few frames after the last one that exists
_TIME_EPS = 1e-3  # Matroska rounds time stamps to milliseconds

_reported: set[str] = set()


class VideoReader(ABC):
    """Frames of one clip's source by seconds or by index.

    Attributes:
        path: absolute path.
        backend: ``decord``, ``pyav`` or ``cv2``.
        times: (n,) seconds at which each frame appears, the first at 0.
        duration: seconds, the last frame's display time included.
    """

    path: str
    backend: str
    times: np.ndarray
    duration: float

    @property
    def num_frames(self) -> int:
        return len(self.times)

    @property
    def fps(self) -> float:
        """Frames per second on average."""
        return self.num_frames / self.duration

    def index_at(self, seconds: np.ndarray) -> np.ndarray:
        """Indices (n,) of the frames shown at ``seconds`` (n,).

        A time up to half a second beyond the end takes the last frame.

        Raises:
            MediaError: a time lies further outside.
        """
        seconds = np.asarray(seconds, dtype=np.float64).reshape(-1)
        if len(seconds) == 0:
            raise ValueError("seconds: got none; expected one or more")
        low, high = seconds.min(), seconds.max()
        if not (low >= -_TIME_EPS and high <= self.duration + CLAMP_SECONDS):
            reason = (
                f"the clip asks for {low:.3f} to {high:.3f} s;"
                f" expected 0 to {self.duration:.3f} s"
            )
            raise self.broken(reason)
        shown = np.searchsorted(self.times, seconds + _TIME_EPS, side="right") - 1
        return np.clip(shown, 0, self.num_frames - 1)

    def frames_at(self, seconds: np.ndarray) -> list[np.ndarray]:
        """The frames shown at ``seconds`` (n,): n arrays (h, w, 3), uint8, RGB."""
        return self.frames_at_index(self.index_at(seconds))

    def frames_at_index(self, index: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Frames by number: n arrays (h, w, 3), uint8, RGB, each with its own memory.

        Raises:
            MediaError: a number out of range, or a frame that cannot be read.
        """
        index = np.asarray(index, dtype=np.int64).reshape(-1)
        if len(index) and not 0 <= index.min() <= index.max() < self.num_frames:
            reason = (
                f"frames {index.min()} to {index.max()} asked;"
                f" expected 0 to {self.num_frames - 1}"
            )
            raise self.broken(reason)
        frames = self._read(np.unique(index))
        # a later transform may write into a frame: a repeated one must be a copy
        taken: set[int] = set()
        out = []
        for number in index.tolist():
            frame = frames[number]
            out.append(frame.copy() if number in taken else frame)
            taken.add(number)
        return out

    def broken(self, reason: str) -> MediaError:
        """The error that says that this file or folder cannot be used."""
        return VideoDecodeError(self.path, self.backend, reason)

    @abstractmethod
    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        """Read the frames of the sorted, unique ``index`` (n,)."""


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
                self.path, ctx=decord.cpu(0), num_threads=self._num_threads
            )
            if len(source) != self.num_frames:
                reason = f"decord counts {len(source)} frames, not {self.num_frames}"
                raise self.broken(reason)
            batch = self._batch(source, index)  # (n, h, w, 3)
        except (decord.DECORDError, RuntimeError, MemoryError, IndexError) as error:
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
        of phones) without an error. There it reads from the start, without seeking.
        """
        if self._index.closed:
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
        keyframes = self._index.keyframes
        number_of = {int(stamp): number for number, stamp in enumerate(pts)}
        frames: dict[int, np.ndarray] = {}
        position = -1  # the frame decoded last
        with self._open() as container:
            stream = container.streams.video[0]
            shown = container.decode(stream)
            for wanted in index.tolist():
                place = np.searchsorted(keyframes, wanted, side="right") - 1
                key = int(keyframes[place]) if place >= 0 else 0
                if key > position + 1:
                    container.seek(int(pts[key]), stream=stream)
                    shown = container.decode(stream)
                while position < wanted or wanted not in frames:
                    frame = next(shown, None)
                    if frame is None:
                        self._raise_count(position + 1)
                    position = number_of.get(frame.pts or 0, self.num_frames)
                    if position > wanted:
                        raise _StampMismatch
                    if position == wanted:
                        frames[wanted] = self._to_rgb(frame)
        return frames

    def _read_by_count(self, index: np.ndarray) -> dict[int, np.ndarray]:
        """Decode all and count: a frame lost on the way shows in the count only."""
        frames: dict[int, np.ndarray] = {}
        wanted, count = set(index.tolist()), 0
        with self._open() as container:
            for frame in container.decode(video=0):
                if count in wanted:
                    frames[count] = self._to_rgb(frame)
                count += 1
        if count != self.num_frames:
            self._raise_count(count)
        return frames

    def _open(self) -> "av.container.InputContainer":
        container = open_container(self.path)
        context = container.streams.video[0].codec_context
        context.thread_count = self._num_threads
        return container

    def _raise_count(self, num_decoded: int) -> NoReturn:
        reason = f"{num_decoded} frames could be decoded; expected {self.num_frames}"
        raise self.broken(reason)

    def _to_rgb(self, frame: "av.VideoFrame") -> np.ndarray:
        """(h, w, 3) uint8, upright."""
        if frame.is_corrupt:
            raise self.broken(f"the frame at {frame.time} s is damaged")
        if (frame.height, frame.width) != self._index.coded_size:
            reason = (
                f"a frame of {frame.width}x{frame.height} pixels;"
                f" expected {self._index.coded_size[1]}x{self._index.coded_size[0]}"
            )
            raise self.broken(reason)
        image = frame.to_ndarray(format="rgb24")
        return np.ascontiguousarray(np.rot90(image, self._index.rotation // 90))


class AutoReader(_IndexedReader):
    """decord first; where it fails, PyAV. The first change is logged, with reason."""

    backend = "auto"

    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        if not self._index.closed:  # decord would have to decode from the start
            return PyAVReader(self._index, self._num_threads)._read(index)
        try:
            return DecordReader(self._index, self._num_threads)._read(index)
        except ImportError as error:
            _report_once("import", f"decord does not import ({error}): using PyAV")
            return PyAVReader(self._index, self._num_threads)._read(index)
        except VideoDecodeError as error:
            try:
                frames = PyAVReader(self._index, self._num_threads)._read(index)
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
        raise ValueError(f"backend: got {backend!r}; expected one of {BACKENDS}")
    if backend == "decord":
        _import_decord()
    readers: dict[str, Callable[[VideoIndex, int], VideoReader]] = {
        "auto": AutoReader,
        "decord": DecordReader,
        "pyav": PyAVReader,
    }
    return readers[backend](read_index(path), num_threads)


class FrameFolderReader(VideoReader):
    """A folder with one image file a frame; made by :func:`open_frames`."""

    backend = "cv2"

    def __init__(
        self,
        path: str,
        filename_tmpl: str,
        numbers: np.ndarray,
        times: np.ndarray,
        frame_seconds: float,
    ) -> None:
        self.path, self.times = path, times
        self.duration = float(times[-1]) + frame_seconds
        self._filename_tmpl = filename_tmpl
        self._numbers = numbers

    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        frames: dict[int, np.ndarray] = {}
        shape = None
        for number in index.tolist():
            frame = self._read_image(int(self._numbers[number]))
            shape = shape or frame.shape
            if frame.shape != shape:
                reason = f"frame {number} is {frame.shape}; the clip began with {shape}"
                raise self.broken(reason)
            frames[number] = frame
        return frames

    def broken(self, reason: str) -> MediaError:
        return FrameFolderError(self.path, reason)

    def _read_image(self, file_number: int) -> np.ndarray:
        """(h, w, 3) uint8 RGB of one file."""
        name = self._filename_tmpl.format(file_number)
        file = os.path.join(self.path, name)
        if not os.path.isfile(file):
            raise self.broken(f"frame file {name!r} does not exist")
        try:
            image = cv2.imread(file, cv2.IMREAD_COLOR)
        except cv2.error as error:
            raise FrameFolderError(file, first_line(error)) from error
        if image is None:
            raise FrameFolderError(file, "not a readable image")
        return np.ascontiguousarray(image[..., ::-1])


def open_frames(
    path: str | os.PathLike,
    filename_tmpl: str = "img_{:05d}.jpg",
    start_index: int = 1,
    total_frames: int | None = None,
    fps: float = 30.0,
    frame_ids: Sequence[int] | None = None,
) -> VideoReader:
    """Open a folder of images, one a frame.

    Args:
        path: the folder.
        filename_tmpl: a format of one integer that gives a file name.
        start_index: number of the first file.
        total_frames: how many files there are; None counts those that fit the template.
        fps: frames, or with ``frame_ids`` ids, per second.
        frame_ids: the ids that exist, ascending, where not every one does; the file
            number is the id plus ``start_index``.

    Raises:
        FrameFolderError: the folder is missing or holds no frame.
    """
    folder = os.path.abspath(os.fspath(path))
    if not os.path.isdir(folder):
        raise FrameFolderError(folder, "the frame folder does not exist")
    example = _example_name(filename_tmpl, start_index)
    if fps <= 0:
        raise ValueError(f"fps: got {fps}; expected a positive number")
    if frame_ids is not None:
        ids = np.asarray(frame_ids, dtype=np.int64)
        if ids.ndim != 1 or np.any(np.diff(ids) <= 0):
            raise ValueError("frame_ids: expected ascending integers without repeats")
    else:
        if total_frames is None:
            total_frames = _count_files(folder, filename_tmpl, start_index)
        ids = np.arange(total_frames)
    if len(ids) == 0:
        reason = f"the folder has 0 frames; expected {example!r} and so on"
        raise FrameFolderError(folder, reason)
    # with gaps, a file is shown from half way to its neighbour: the nearest is taken
    step = float(np.median(np.diff(ids))) if len(ids) > 1 else 1.0
    middles = np.r_[ids[0], (ids[:-1] + ids[1:] + 1) / 2] if step > 1 else ids
    return FrameFolderReader(
        folder, filename_tmpl, ids + start_index, middles / fps, step / fps
    )


def _example_name(filename_tmpl: str, start_index: int) -> str:
    """The first file's name; refuses a template that leaves the folder."""
    try:
        name = filename_tmpl.format(start_index)
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(
            f"filename_tmpl: got {filename_tmpl!r}; expected a format of one integer,"
            " as 'img_{:05d}.jpg'"
        ) from error
    if os.path.basename(name) != name or name in ("", ".", ".."):
        raise ValueError(f"filename_tmpl: {filename_tmpl!r} must give a bare file name")
    return name


def _count_files(folder: str, filename_tmpl: str, start_index: int) -> int:
    """Consecutive files from ``start_index`` on."""
    names = set(os.listdir(folder))
    count = 0
    while filename_tmpl.format(start_index + count) in names:
        count += 1
    return count


def _import_decord() -> Any:
    """decord, quiet: its failures come as errors, not as lines on stderr."""
    import decord

    decord.logging.set_level(decord.logging.FATAL)
    return decord


def _report_once(kind: str, message: str) -> None:
    if kind not in _reported:
        _reported.add(kind)
        print_log(message, logger="current", level=30)
