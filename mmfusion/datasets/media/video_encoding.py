"""Videos made small and quick to seek: short side, closed groups, chunks.

H.264 that can be decoded from every keyframe. Between two pictures that others are made
from lie two that no other one needs (``spare_packets.py``), and the bits are packed in
the simpler of the two ways (CAVLC): a clip takes about half the time to decode that it
takes without either. Sound is left out. Each file says in its ``comment`` what it was
made of, by which an unfinished run knows its own files.
"""

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

from mmfusion.datasets.media.video_index import (
    VideoIndex,
    decode_all,
    open_container,
)
from mmfusion.datasets.media.video_reader import TIME_EPS
from mmfusion.utils.errors import InputError

_CLOCK = Fraction(1, 90_000)  # seconds: exact for 24, 25, 30, 50 and 60 fps
_MIN_SIDE = 16  # of an H.264 picture
_LARGE = 1e6
_BOUNDS = {
    "short_side": (_MIN_SIDE, _LARGE),
    "keyframe_interval": (1, _LARGE),
    "crf": (0, 51),
    "fps": (1e-3, _LARGE),
    "chunk_seconds": (1e-3, _LARGE),
}


@dataclass(frozen=True)
class EncodeSettings:
    """Form of the written videos.

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
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(f"{name} is {value}, expected {low:g} to {high:g}")

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
    """Frames of one output file.

    Attributes:
        start: second of the video at which the file begins.
        numbers: (k,) of the source's frames, not falling.
        seconds: (k,) at which each is shown, from the start of the file.
    """

    start: float
    numbers: np.ndarray
    seconds: np.ndarray


def segments_of(index: VideoIndex, settings: EncodeSettings) -> list[Segment]:
    """Contents of each file of a video: one file, or one for every chunk begun.

    A file begins with the frame that is shown at its first second, even where that
    frame has appeared before.
    """
    length = settings.chunk_seconds or index.duration
    count = max(1, int(np.ceil((index.duration - TIME_EPS) / length)))
    bounds = [*(number * length for number in range(count)), index.duration]
    times, segments = index.times, []
    for start, stop in zip(bounds, bounds[1:], strict=False):
        if settings.fps is not None:
            ticks = max(1, int(np.ceil((stop - start - TIME_EPS) * settings.fps)))
            seconds = np.arange(ticks) / settings.fps
            numbers = np.searchsorted(times, start + seconds + TIME_EPS, side="right")
            numbers = np.maximum(numbers - 1, 0)
        else:
            first = max(
                0, int(np.searchsorted(times, start + TIME_EPS, side="right")) - 1
            )
            end = int(np.searchsorted(times, stop - TIME_EPS, side="left"))
            numbers = np.arange(first, max(end, first + 1))
            seconds = np.maximum(times[numbers] - start, 0.0)
            seconds[0] = 0.0  # also where sound begins before the first picture
        segments.append(Segment(start, numbers, seconds))
    return segments


class Encoder:
    """Writes segments of one video, one after the other, while it is decoded once.

    Args:
        index: of the video. settings: of the output.
    """

    def __init__(self, index: VideoIndex, settings: EncodeSettings) -> None:
        self._index, self._settings = index, settings
        self._frames = decode_all(index)
        self._cut = _Cut(index)
        self._last: tuple[int, av.VideoFrame] | None = None

    def encode(self, segment: Segment, comment: str) -> bytes:
        """The mp4 of a segment, which begins no earlier than the last one ended.

        Args:
            segment: one of :func:`segments_of`. comment: stored in the file.
        """
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp4") as output:
            output.metadata["comment"] = comment
            stream = self._add_stream(output)
            picture, shown = None, -1
            for wanted, seconds in zip(segment.numbers, segment.seconds, strict=True):
                while self._last is None or self._last[0] < wanted:
                    self._last = next(self._frames)
                if picture is None:
                    _copy_colour(self._last[1], stream.codec_context)
                if picture is None or shown != wanted:
                    picture, shown = self._upright(self._last[1], stream), wanted
                picture.pts, picture.time_base = round(float(seconds) / _CLOCK), _CLOCK
                picture.pict_type = PictureType.NONE  # the source's type would be kept
                output.mux(stream.encode(picture))
            output.mux(stream.encode())
        return buffer.getvalue()

    def finish(self) -> None:
        """Decode the rest: a video that breaks off is known at its end."""
        for _ in self._frames:
            pass

    def _add_stream(self, output: "av.container.OutputContainer") -> Any:
        settings, index = self._settings, self._index
        fps = settings.fps or len(index.times) / index.duration
        stream: Any = output.add_stream(
            "libx264",
            rate=Fraction(fps).limit_denominator(1001),
            options={
                "crf": str(settings.crf),
                "preset": settings.preset,
                "g": str(settings.keyframe_interval),
                "bf": "2",
                "b_strategy": "0",  # always two
                "b-pyramid": "none",  # and none that another is made from
                "coder": "cavlc",
                "flags": "+cgop",
                "threads": "1",  # the same bytes on every machine with this x264
            },
        )
        stream.height, stream.width = settings.size_of(*index.size)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _CLOCK
        return stream

    def _upright(self, frame: "av.VideoFrame", stream: Any) -> "av.VideoFrame":
        """A frame as shown, of the output's size and pixel format."""
        height, width = stream.height, stream.width
        display = self._index.display
        if display.transposed:
            height, width = width, height
        frame = self._cut(frame).reformat(
            width,
            height,
            "yuv420p",
            interpolation="BICUBIC",
            dst_color_range="MPEG",
            threads=1,
        )
        if not display.transposed and not any(display.flips):
            return frame
        luma, chroma = np.split(frame.to_ndarray().ravel(), [height * width])
        planes = [luma.reshape(height, width)]
        planes += [*chroma.reshape(2, height // 2, width // 2)]  # blue, red
        flat = np.concatenate([display.turn(plane).ravel() for plane in planes])
        return av.VideoFrame.from_ndarray(
            flat.reshape(-1, stream.width), format="yuv420p"
        )


class _Cut:
    """FFmpeg's crop filter, made with the first frame; nothing where none is hidden."""

    def __init__(self, index: VideoIndex) -> None:
        self._crop, self._size = index.display.crop, index.coded_size
        self._graph: av.filter.Graph | None = None

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        if not any(self._crop):
            return frame
        if self._graph is None:
            top, bottom, left, right = self._crop
            height, width = self._size[0] - top - bottom, self._size[1] - left - right
            self._graph = av.filter.Graph()
            source = self._graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=_CLOCK,
            )
            crop = self._graph.add("crop", f"{width}:{height}:{left}:{top}:exact=1")
            sink = self._graph.add("buffersink")
            self._graph.link_nodes(source, crop, sink).configure()
        self._graph.vpush(frame)
        return self._graph.vpull()


def _copy_colour(frame: "av.VideoFrame", context: Any) -> None:
    """Keep how the numbers of a pixel are to be read."""
    context.color_range = 1  # 16..235
    context.colorspace = frame.colorspace
    context.color_primaries = frame.color_primaries
    context.color_trc = frame.color_trc


def read_comment(path: str) -> dict[str, Any] | None:
    """Origin that a file of this module states; None for any other or broken one."""
    try:
        with open_container(path) as container:
            value = json.loads(container.metadata.get("comment", ""))
    except (av.FFmpegError, OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
