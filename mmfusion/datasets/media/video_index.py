"""The frame times of a video, read from its packets without decoding them.

Both decoders take their frame numbers from this one table, so that a second means the
same frame to each, at variable frame rates and in containers that state 0 frames too.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from mmfusion.datasets.media.container_crop import read_crop
from mmfusion.datasets.media.display import Display, orientation, pixel_aspect
from mmfusion.utils.errors import VideoDecodeError

MAX_SIDE = 16384  # pixels; checked before anything of that size is allocated
MAX_FRAMES = 20_000_000  # four days at 60 fps
MIN_LEAD = 0.1  # seconds; sound that begins a little earlier is its encoder's priming
# Containers only: a playlist (hls, concat, dash) inside a ".mp4" would open other files
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,"
    "h264,hevc,m4v,gif,mxf,nut"
)
_STAMPED_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")  # FFmpeg's names
_RAW_FORMATS = ("h264", "hevc", "m4v", "mpegvideo")
_TO_MP4 = "write it anew: ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p OUT.mp4"
_DOLBY_TAGS = ("dvh1", "dvhe", "dva1", "dvav", "dav1")  # no picture for other players
_PQ = 16  # FFmpeg's number of the transfer function SMPTE ST 2084
_DECORD_PREFIX = re.compile(r"\[\d\d:\d\d:\d\d\] \S+:\d+: ")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*:|://")


@dataclass(frozen=True)
class VideoIndex:
    """Frames of a video, in the order in which they are shown.

    Attributes:
        path: absolute path.
        stream: place among the video streams of the one that players show.
        times: (n,) float64, seconds at which each frame appears, as players count: from
            the first picture, or from sound that begins clearly before it.
        duration: seconds, the last frame's display time included.
        pts: (n,) int64 time stamps in the stream's own unit, or None where the
            container has none to rely on.
        positions: (n,) int64, byte in the file at which a frame's packet begins; -1
            where it is not known.
        keyframes: (m,) int64, sorted indices of the frames where decoding can begin.
        closed: every keyframe is shown in the place in which it is stored. Where it is
            not, frames stored after it are shown before it and need the group before.
        stamped: the file itself states when each picture is shown. Elsewhere (AVI, and
            MPEG-4 part 2 with several pictures in a packet) FFmpeg guesses, and its
            versions, PyAV's and decord's, guess differently.
        coded_size: (height, width) as stored.
        display: how a stored picture is shown.
        reorder_depth: frames that the decoder holds back to put them in order.
        nal_length_size: bytes of the length before each unit of an H.264 packet; 0
            for other codecs, and where units are told apart otherwise.
    """

    path: str
    stream: int
    times: np.ndarray
    duration: float
    pts: np.ndarray | None
    positions: np.ndarray
    keyframes: np.ndarray
    closed: bool
    stamped: bool
    coded_size: tuple[int, int]
    display: Display
    reorder_depth: int = 0
    nal_length_size: int = 0

    def __post_init__(self) -> None:
        for array in (self.times, self.pts, self.positions, self.keyframes):
            if array is not None:
                array.flags.writeable = False  # it is shared

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a frame as shown."""
        return self.display.shown_size(self.coded_size)

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


def open_container(path: str, *, probe: bool = True) -> "av.container.InputContainer":
    """Open an absolute local path with PyAV: one file, known containers only.

    Args:
        path: of the file.
        probe: decode the first pictures to learn what the header leaves open, as the
            ``reorder_depth``. It takes as long as opening, decoding and closing them.
    """
    return av.open(
        f"file:{path}",
        options={} if probe else {"skip_frame": "all"},
        container_options={"protocol_whitelist": "file", "format_whitelist": _FORMATS},
        metadata_errors="ignore",
    )


def make_index(path: str) -> VideoIndex:
    """Read the index of the video at an absolute path: all of its packets.

    Raises:
        VideoDecodeError: not a video, no frames, or a size beyond the caps.
    """
    if os.path.getsize(path) == 0:
        raise VideoDecodeError(path, "pyav", "the file is empty")
    try:
        with open_container(path) as container:
            return _make_index(path, container)
    except (av.FFmpegError, OSError, MemoryError, OverflowError) as error:
        raise VideoDecodeError(path, "pyav", first_line(error)) from error


def _choose_stream(path: str, container: "av.container.InputContainer") -> int:
    """Place among the video streams of the one that players show; never a cover."""
    if container.format.name in _RAW_FORMATS:
        reason = (
            f"raw {container.format.name} states no times; expected a container: ffmpeg"
            " -framerate FPS -i IN -c copy OUT.mp4"
        )
        raise VideoDecodeError(path, "pyav", reason)
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    # FFmpeg's choice: what is marked as default, then what has several pictures
    best = container.streams.best("video")
    streams = container.streams.video
    videos = [stream for stream in streams if not stream.disposition & covers]
    if not videos:
        kind = "only a cover picture" if streams else "no video stream"
        raise VideoDecodeError(path, "pyav", f"the file has {kind}")
    chosen = best if best in videos else videos[0]
    return [stream.index for stream in streams].index(chosen.index)


def _check_stream(path: str, stream: "av.video.stream.VideoStream") -> tuple[int, int]:
    """The stored size (height, width) of a stream that can be decoded."""
    context = stream.codec_context
    # PyAV gives None for a codec that its FFmpeg does not know
    if context is None:  # type: ignore[comparison-overlap]
        reason = f"its codec is unknown to FFmpeg {av.ffmpeg_version_info}; {_TO_MP4}"
        raise VideoDecodeError(path, "pyav", reason)
    if context.codec_tag in _DOLBY_TAGS:
        reason = "its colours are Dolby Vision's own; export it as SDR"
        raise VideoDecodeError(path, "pyav", reason)
    height, width = context.height, context.width
    _check_size(path, height, width)
    return height, width


def _check_size(path: str, height: int, width: int) -> None:
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        reason = f"frames of {width}x{height} pixels; expected 1 to {MAX_SIDE} a side"
        raise VideoDecodeError(path, "pyav", reason)


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
) -> tuple[list[int | None], list[bool], list[int], "av.VideoFrame"]:
    """Time stamp, keyframe mark and place of every packet that is shown; first frame.

    Some of what says how pictures are shown comes with the first one.
    """
    stamps: list[int | None] = []
    keys: list[bool] = []
    positions: list[int] = []
    first: av.VideoFrame | None = None
    for packet in container.demux(stream):
        if first is None:
            first = next(iter(packet.decode()), None)  # type: ignore[assignment]
        # an edit list hides packets (discard); the last one only flushes (size 0)
        if packet.size == 0 or packet.is_discard:
            continue
        stamps.append(packet.pts)
        keys.append(packet.is_keyframe)
        positions.append(-1 if packet.pos is None else packet.pos)
        if len(stamps) > MAX_FRAMES:
            raise VideoDecodeError(path, "pyav", f"more than {MAX_FRAMES} frames")
    if first is None or not stamps:
        raise VideoDecodeError(path, "pyav", "the video has 0 frames")
    return stamps, keys, positions, first


def _nal_length_size(context: Any) -> int:
    """Bytes of a unit's length, by the avcC record; 0 where there is none."""
    head = context.extradata or b""
    if context.name != "h264" or len(head) < 7 or head[0] != 1:
        return 0
    return (head[4] & 3) + 1


def _display_of(
    path: str, frame: "av.VideoFrame", crop: tuple[int, int, int, int], aspect: Fraction
) -> Display:
    if frame.color_trc == _PQ:
        reason = "it is HDR (PQ), which would look washed out; export it as SDR"
        raise VideoDecodeError(path, "pyav", reason)
    matrix = display_matrix(frame)
    turned = orientation(matrix)
    if turned is None:
        reason = (
            f"its display matrix {matrix[[0, 1, 3, 4]].tolist()} turns by no multiple"
            f" of 90 degrees; {_TO_MP4}"
        )
        raise VideoDecodeError(path, "pyav", reason)
    return Display(crop, aspect, *turned)


def display_matrix(frame: "av.VideoFrame") -> np.ndarray:
    """Display matrix (9,), int32, that comes with a frame; the unit where none does."""
    data: Any = frame.side_data
    if "DISPLAYMATRIX" not in data:
        return np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], np.int32)
    return np.frombuffer(bytes(data["DISPLAYMATRIX"])[:36], np.int32)


def _make_index(path: str, container: "av.container.InputContainer") -> VideoIndex:
    place = _choose_stream(path, container)
    stream = container.streams.video[place]
    size = _check_stream(path, stream)
    context = stream.codec_context
    context.thread_count = 1  # for one frame
    reorder_depth = context.reorder_depth  # decoding may raise it
    aspect = pixel_aspect(stream.sample_aspect_ratio)
    stamps, keys, found, first = _read_packets(path, container, stream)
    crop = read_crop(
        path, container.format.name, track=stream.id, order=place, size=size
    )
    rate = float(stream.average_rate or 0) or 25.0
    unit = float(stream.time_base or 0)
    stamped = _is_stamped(container, stream)
    display = _display_of(path, first, crop, aspect)
    _check_size(path, *display.scaled_size(size))
    num, positions = len(stamps), np.asarray(found, dtype=np.int64)
    usable = unit > 0 and None not in stamps and len(set(stamps)) == num
    if usable:
        order = np.argsort(np.asarray(stamps, dtype=np.int64))
        pts = np.asarray(stamps, dtype=np.int64)[order]  # (n,) in the order shown
        times = (pts - pts[0]) * unit + _lead(container, float(pts[0]) * unit)
        step = float(np.median(np.diff(times))) if num > 1 else 1 / rate
        positions = positions[order]
        keyframes = np.flatnonzero(np.asarray(keys)[order])
        closed = bool(np.array_equal(keyframes, np.flatnonzero(keys)))
    else:
        pts, step, closed = None, 1 / rate, False
        times = np.arange(num) * step
        keyframes = np.zeros(1, dtype=np.int64)
    duration = float(times[-1]) + step
    return VideoIndex(
        path,
        place,
        times,
        duration,
        pts,
        positions,
        keyframes,
        closed,
        stamped,
        size,
        display,
        reorder_depth,
        _nal_length_size(context),
    )


def _lead(container: "av.container.InputContainer", first: float) -> float:
    """Seconds that players show before the first picture, at ``first`` by its stamp."""
    if container.start_time is None:
        return 0.0
    lead = first - container.start_time / av.time_base
    return lead if lead > MIN_LEAD else 0.0


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
            stream = container.streams.video[index.stream]
            stream.codec_context.thread_count = num_threads
            for frame in container.decode(stream):
                check_frame(index, frame)
                if _is_another(index, count, frame):
                    reason = f"frame {count} has the time stamp of another"
                    raise VideoDecodeError(index.path, "pyav", reason)
                yield count, frame
                count += 1
    except (av.FFmpegError, MemoryError) as error:
        reason = f"{first_line(error)}, after {count} frames"
        raise VideoDecodeError(index.path, "pyav", reason) from error
    if count != len(index.times):
        reason = f"{count} frames could be decoded; expected {len(index.times)}"
        raise VideoDecodeError(index.path, "pyav", reason)


def _is_another(index: VideoIndex, number: int, frame: "av.VideoFrame") -> bool:
    """True if the frame decoded as ``number`` has the stamp of another one."""
    if not index.stamped or index.pts is None or frame.pts is None:
        return False
    return number >= len(index.pts) or frame.pts != index.pts[number]


class ToRGB:
    """Conversion of the decoded frames of one video to pictures as players show them.

    One thread and one table for all frames: left to itself, FFmpeg starts a thread for
    each core of the machine, anew for each frame.

    Args:
        display: of the video.
    """

    def __init__(self, display: Display) -> None:
        self._display, self._reformatter = display, VideoReformatter()

    def __call__(self, frame: "av.VideoFrame") -> np.ndarray:
        """(h, w, 3) uint8."""
        frame = self._reformatter.reformat(frame, format="rgb24", threads=1)
        return self._display.show(frame.to_ndarray())


def check_frame(index: VideoIndex, frame: "av.VideoFrame") -> None:
    """Refuse a frame that is damaged or of another size than its video."""
    height, width = index.coded_size
    reason = None
    if frame.is_corrupt:
        reason = f"the frame at {frame.time} s is damaged"
    elif (frame.height, frame.width) != (height, width):
        size = f"{frame.width}x{frame.height}"
        reason = f"a frame of {size} pixels; expected {width}x{height}"
    elif _is_turned(index, frame):
        reason = f"the frame at {frame.time} s is turned otherwise than the first"
    if reason:
        raise VideoDecodeError(index.path, "pyav", reason)


def _is_turned(index: VideoIndex, frame: "av.VideoFrame") -> bool:
    """True if a frame is shown in another direction than its video.

    Reading side_data ties a frame and the table into a ring, which stays in memory
    until Python looks for rings: some hundred frames at a time. So a frame between two
    keyframes is asked for its rotation alone, which no mirror changes.
    """
    if not frame.key_frame:
        transposed, (rows, columns) = index.display.orientation
        turned = (90 if rows else -90) if transposed else 180 * columns
        if round(frame.rotation - turned) % 360 == 0:
            return False
    return orientation(display_matrix(frame)) != index.display.orientation


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type's name.

    decord puts the time and its own source line before the reason; they are left out.
    """
    lines = _DECORD_PREFIX.sub("", str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
