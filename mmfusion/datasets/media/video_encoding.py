"""Videos made small and quick to seek: short side, closed groups, chunks.

H.264 without B-frames, so that frames are stored in the order in which they are shown
and every keyframe can be decoded from. Sound is left out. Each file says in its
``comment`` what it was made of, by which an unfinished run knows its own files.
"""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType
from av.video.stream import VideoStream

from mmfusion.datasets.media.video_index import VideoIndex, first_line, open_container
from mmfusion.utils.errors import InputError, VideoDecodeError

_CLOCK = Fraction(1, 90_000)  # seconds: exact for 24, 25, 30, 50 and 60 fps
_EPS = 1e-3  # seconds; Matroska rounds time stamps to milliseconds
_MIN_SIDE = 16  # of an H.264 picture


@dataclass(frozen=True)
class EncodeSettings:
    """How videos are written.

    Attributes:
        short_side: pixels; a smaller video keeps its size. Sides are made even.
        keyframe_interval: frames from one keyframe to the next, at most.
        fps: of the output; None keeps every frame and its time.
        chunk_seconds: length of the files that a video is cut into; None: one file.
        crf: H.264's constant quality, 0 (lossless) to 51. preset: H.264's speed.
    """

    short_side: int = 256
    keyframe_interval: int = 15
    fps: float | None = None
    chunk_seconds: float | None = None
    crf: int = 23
    preset: str = "veryfast"

    def __post_init__(self) -> None:
        for name, low in (
            ("short_side", _MIN_SIDE),
            ("keyframe_interval", 1),
            ("crf", 0),
        ):
            if getattr(self, name) < low:
                value = getattr(self, name)
                raise InputError(f"{name} is {value}, expected {low} or more")
        if self.crf > 51:
            raise InputError(f"crf is {self.crf}, expected 0 to 51")
        for name in ("fps", "chunk_seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"{name} is {value}, expected more than 0")

    def digest(self) -> str:
        """The same for equal settings only."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the output for an upright frame of that size."""
        scale = min(1.0, self.short_side / min(height, width))
        return _even(height * scale), _even(width * scale)


def _even(side: float) -> int:
    return max(_MIN_SIDE, 2 * round(side / 2))


@dataclass(frozen=True)
class Segment:
    """The frames of one output file.

    Attributes:
        start: second of the video at which the file begins.
        numbers: (k,) of the source's frames, not falling.
        seconds: (k,) at which each is shown, from the start of the file.
    """

    start: float
    numbers: np.ndarray
    seconds: np.ndarray


def segments_of(index: VideoIndex, settings: EncodeSettings) -> list[Segment]:
    """What each file of a video holds: one file, or one for every chunk begun.

    A file begins with the frame that is shown at its first second, even where that
    frame has appeared before.
    """
    length = settings.chunk_seconds or index.duration
    count = max(1, int(np.ceil((index.duration - _EPS) / length)))
    starts = [number * length for number in range(count)]
    return [
        Segment(start, *_frames_between(index, start, stop, settings.fps))
        for start, stop in zip(starts, [*starts[1:], index.duration], strict=True)
    ]


def _frames_between(
    index: VideoIndex, start: float, stop: float, fps: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (k,) and seconds from ``start`` (k,)."""
    times = index.times
    if fps is not None:
        count = max(1, int(np.ceil((stop - start - _EPS) * fps)))
        seconds = np.arange(count) / fps
        numbers = np.searchsorted(times, start + seconds + _EPS, side="right") - 1
        return numbers, seconds
    first = max(0, int(np.searchsorted(times, start + _EPS, side="right")) - 1)
    end = int(np.searchsorted(times, stop - _EPS, side="left"))
    numbers = np.arange(first, max(end, first + 1))
    return numbers, np.maximum(times[numbers] - start, 0.0)


def decoded_frames(
    index: VideoIndex, num_threads: int = 1
) -> Iterator["av.VideoFrame"]:
    """Every frame of a video, in the order shown.

    Raises:
        VideoDecodeError: a frame is damaged, of another size, or missing; a video
            that ends early is known at its end only.
    """
    count = 0
    try:
        with open_container(index.path) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = num_threads
            for frame in container.decode(stream):
                reason = _fault(frame, index)
                if reason:
                    raise VideoDecodeError(index.path, "pyav", reason)
                yield frame
                count += 1
    except (av.FFmpegError, MemoryError) as error:
        reason = f"{first_line(error)}, after {count} frames"
        raise VideoDecodeError(index.path, "pyav", reason) from error
    if count != len(index.times):
        reason = f"{count} frames could be decoded; expected {len(index.times)}"
        raise VideoDecodeError(index.path, "pyav", reason)


def _fault(frame: "av.VideoFrame", index: VideoIndex) -> str | None:
    if frame.is_corrupt:
        return f"the frame at {frame.time} s is damaged"
    height, width = index.coded_size
    if (frame.height, frame.width) != (height, width):
        return (
            f"a frame of {frame.width}x{frame.height} pixels; expected {width}x{height}"
        )
    return None


class SegmentWriter:
    """An mp4 in memory, frame by frame.

    Args:
        index: of the source. settings: of the output.
        comment: what the file is to say of itself.
    """

    def __init__(
        self, index: VideoIndex, settings: EncodeSettings, comment: str
    ) -> None:
        self._rotation = index.rotation
        self._buffer = io.BytesIO()
        self._container = av.open(self._buffer, "w", format="mp4")
        self._container.metadata["comment"] = comment
        fps = settings.fps or len(index.times) / index.duration
        stream = self._container.add_stream(
            "libx264",
            rate=Fraction(fps).limit_denominator(1001),
            options={
                "crf": str(settings.crf),
                "preset": settings.preset,
                "g": str(settings.keyframe_interval),
                "bf": "0",
                "flags": "+cgop",
                "threads": "1",  # the same bytes on every machine with this x264
            },
        )
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = settings.size_of(*index.size)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _CLOCK
        self._stream = stream
        self._last: tuple[int, av.VideoFrame] | None = None
        self._begun = False

    def add(self, number: int, frame: "av.VideoFrame", seconds: float) -> None:
        """The source's frame ``number``, shown at ``seconds`` of this file."""
        if self._last is None or self._last[0] != number:
            self._last = number, self._converted(frame)
        if not self._begun:
            self._copy_colour(frame)
        picture = self._last[1]
        picture.pts, picture.time_base = round(seconds / _CLOCK), _CLOCK
        picture.pict_type = PictureType.NONE  # the source's type would be kept
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> bytes:
        """The whole file."""
        self._container.mux(self._stream.encode())
        self._container.close()
        return self._buffer.getvalue()

    def _copy_colour(self, frame: "av.VideoFrame") -> None:
        """How the numbers of a pixel are to be read stays what it was."""
        self._begun = True
        context = self._stream.codec_context
        context.color_range = 1  # 16..235
        context.colorspace = frame.colorspace
        context.color_primaries = frame.color_primaries
        context.color_trc = frame.color_trc

    def _converted(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """Upright, of the output's size and pixel format."""
        height, width = self._stream.height, self._stream.width
        turns = self._rotation // 90
        if turns % 2:
            height, width = width, height
        frame = frame.reformat(
            width,
            height,
            "yuv420p",
            interpolation="BICUBIC",
            dst_color_range="MPEG",
        )
        return _turned(frame, turns) if turns else frame


def _turned(frame: "av.VideoFrame", turns: int) -> "av.VideoFrame":
    """A yuv420p frame of even sides, turned by quarters counter-clockwise."""
    height, width = frame.height, frame.width
    values = frame.to_ndarray().ravel()
    luma, blue, red = np.split(values, [height * width, height * width * 5 // 4])
    half = height // 2, width // 2
    planes = [luma.reshape(height, width), blue.reshape(half), red.reshape(half)]
    turned = [np.rot90(plane, turns) for plane in planes]
    flat = np.concatenate([plane.ravel() for plane in turned])
    return av.VideoFrame.from_ndarray(
        flat.reshape(-1, turned[0].shape[1]), format="yuv420p"
    )


def read_comment(path: str) -> dict[str, Any] | None:
    """What a file of this module says of itself; None for any other or broken one."""
    try:
        with open_container(path) as container:
            value = json.loads(container.metadata.get("comment", ""))
    except (av.FFmpegError, OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
