"""The frame times of a video, read from its packets without decoding them.

Both decoders take their frame numbers from this one table, so that a second means the
same frame to each, at variable frame rates and in containers that state 0 frames too.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import av
import numpy as np

from mmfusion.utils.errors import VideoDecodeError

MAX_SIDE = 16384  # pixels; checked before anything of that size is allocated
MAX_FRAMES = 20_000_000  # four days at 60 fps
# Containers only: a playlist (hls, concat, dash) inside a ".mp4" would open other files
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,"
    "h264,hevc,m4v,gif,mxf,nut"
)
_STAMPED_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")  # FFmpeg's names
_DECORD_PREFIX = re.compile(r"\[\d\d:\d\d:\d\d\] \S+:\d+: ")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*:|://")


@dataclass(frozen=True)
class VideoIndex:
    """Frames of a video, in the order in which they are shown.

    Attributes:
        path: absolute path.
        times: (n,) float64, seconds at which each frame appears, the first at 0.
        duration: seconds, the last frame's display time included.
        pts: (n,) int64 time stamps in the stream's own unit, or None where the
            container has none to rely on.
        keyframes: (m,) int64, sorted indices of the frames where decoding can begin.
        closed: every keyframe is shown in the place in which it is stored. Where it is
            not, frames stored after it are shown before it and need the group before.
        stamped: the file itself states when each picture is shown. Elsewhere (AVI, and
            MPEG-4 part 2 with several pictures in a packet) FFmpeg guesses, and its
            versions, PyAV's and decord's, guess differently.
        coded_size: (height, width) before rotation.
        rotation: degrees counter-clockwise that put the picture upright: 0, 90, 180
            or 270.
    """

    path: str
    times: np.ndarray
    duration: float
    pts: np.ndarray | None
    keyframes: np.ndarray
    closed: bool
    stamped: bool
    coded_size: tuple[int, int]
    rotation: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of an upright frame."""
        height, width = self.coded_size
        return (width, height) if self.rotation in (90, 270) else (height, width)

    @property
    def seekable_by_stamp(self) -> bool:
        """True if a decoder may seek and skip without checking each frame's stamp."""
        return self.closed and self.stamped


def local_path(path: str | os.PathLike) -> str:
    """The absolute path of an existing local file.

    Raises:
        VideoDecodeError: it is a URL or a protocol, holds NUL, or is no regular file.
    """
    text = os.fspath(path)
    if "\0" in text or _SCHEME.search(text):
        reason = "expected a local path, not a URL or protocol"
        raise VideoDecodeError(repr(text), "open", reason)
    if not os.path.exists(text):
        raise VideoDecodeError(text, "open", "the file does not exist")
    if not os.path.isfile(text):
        raise VideoDecodeError(text, "open", "expected a regular file")
    return os.path.realpath(text)


def open_container(path: str) -> "av.container.InputContainer":
    """Open an absolute local path with PyAV: one file, known containers only."""
    return av.open(
        f"file:{path}",
        container_options={"protocol_whitelist": "file", "format_whitelist": _FORMATS},
        metadata_errors="ignore",
    )


def read_index(path: str | os.PathLike) -> VideoIndex:
    """The index of a local video; the last 256 files are remembered.

    Raises:
        VideoDecodeError: not a video, no frames, or a size beyond the caps.
    """
    real = local_path(path)
    stat = os.stat(real)
    return _read_index(real, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _read_index(path: str, mtime_ns: int, num_bytes: int) -> VideoIndex:
    """A changed file has another ``mtime_ns`` or ``num_bytes`` and is read anew."""
    if num_bytes == 0:
        raise VideoDecodeError(path, "pyav", "the file is empty")
    try:
        with open_container(path) as container:
            if not container.streams.video:
                raise VideoDecodeError(path, "pyav", "the file has no video stream")
            return _make_index(path, container)
    except (av.FFmpegError, OSError, MemoryError, OverflowError) as error:
        raise VideoDecodeError(path, "pyav", first_line(error)) from error


def _checked_size(path: str, stream: "av.video.stream.VideoStream") -> tuple[int, int]:
    height, width = stream.codec_context.height, stream.codec_context.width
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        reason = f"frames of {width}x{height} pixels; expected 1 to {MAX_SIDE} a side"
        raise VideoDecodeError(path, "pyav", reason)
    return height, width


def _is_stamped(
    container: "av.container.InputContainer", stream: "av.video.stream.VideoStream"
) -> bool:
    context, name = stream.codec_context, container.format.name
    # a four-character code in Matroska marks a stream taken over from AVI, stamps too
    from_avi = name == "matroska,webm" and context.codec_tag.strip("\0") != ""
    return name in _STAMPED_FORMATS and context.name != "mpeg4" and not from_avi


def _read_packets(
    path: str,
    container: "av.container.InputContainer",
    stream: "av.video.stream.VideoStream",
) -> tuple[list[int | None], list[bool]]:
    """Time stamp and keyframe mark of every packet that is shown."""
    stamps: list[int | None] = []
    keys: list[bool] = []
    for packet in container.demux(stream):
        # an edit list hides packets (discard); the last one only flushes (size 0)
        if packet.size == 0 or packet.is_discard:
            continue
        stamps.append(packet.pts)
        keys.append(packet.is_keyframe)
        if len(stamps) > MAX_FRAMES:
            raise VideoDecodeError(path, "pyav", f"more than {MAX_FRAMES} frames")
    return stamps, keys


def _read_rotation(path: str) -> int:
    """The display rotation, which travels with the first decoded frame."""
    with open_container(path) as container:
        for frame in container.decode(container.streams.video[0]):
            return round(frame.rotation / 90) * 90 % 360
    raise VideoDecodeError(path, "pyav", "the video has 0 frames")


def _make_index(path: str, container: "av.container.InputContainer") -> VideoIndex:
    stream = container.streams.video[0]
    size = _checked_size(path, stream)
    stamps, keys = _read_packets(path, container, stream)
    rate = float(stream.average_rate or 0) or 25.0
    unit = float(stream.time_base or 0)
    stamped = _is_stamped(container, stream)
    rotation = _read_rotation(path)
    if not stamps:
        raise VideoDecodeError(path, "pyav", "the video has 0 frames")
    num = len(stamps)
    usable = unit > 0 and None not in stamps and len(set(stamps)) == num
    if usable:
        order = np.argsort(np.asarray(stamps, dtype=np.int64))
        pts = np.asarray(stamps, dtype=np.int64)[order]  # (n,) in the order shown
        times = (pts - pts[0]) * unit
        step = float(np.median(np.diff(times))) if num > 1 else 1 / rate
        keyframes = np.flatnonzero(np.asarray(keys)[order])
        closed = bool(np.array_equal(keyframes, np.flatnonzero(keys)))
    else:
        pts, step, closed = None, 1 / rate, False
        times = np.arange(num) * step
        keyframes = np.zeros(1, dtype=np.int64)
    times.flags.writeable = False
    duration = float(times[-1]) + step
    return VideoIndex(
        path, times, duration, pts, keyframes, closed, stamped, size, rotation
    )


def decode_all(
    index: VideoIndex, num_threads: int = 1
) -> Iterator[tuple[int, "av.VideoFrame"]]:
    """Every frame of a video with its number, in the order shown.

    Raises:
        VideoDecodeError: it cannot be decoded; one that ends early, or that loses a
            frame on the way, is known at its end only.
    """
    count = 0
    try:
        with open_container(index.path) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = num_threads
            for frame in container.decode(stream):
                yield count, frame
                count += 1
    except (av.FFmpegError, MemoryError) as error:
        reason = f"{first_line(error)}, after {count} frames"
        raise VideoDecodeError(index.path, "pyav", reason) from error
    if count != len(index.times):
        reason = f"{count} frames could be decoded; expected {len(index.times)}"
        raise VideoDecodeError(index.path, "pyav", reason)


def check_frame(index: VideoIndex, frame: "av.VideoFrame") -> None:
    """Refuse a frame that is damaged or of another size than its video."""
    height, width = index.coded_size
    reason = None
    if frame.is_corrupt:
        reason = f"the frame at {frame.time} s is damaged"
    elif (frame.height, frame.width) != (height, width):
        size = f"{frame.width}x{frame.height}"
        reason = f"a frame of {size} pixels; expected {width}x{height}"
    if reason:
        raise VideoDecodeError(index.path, "pyav", reason)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type's name.

    decord puts the time and its own source line before the reason; they are left out.
    """
    lines = _DECORD_PREFIX.sub("", str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
