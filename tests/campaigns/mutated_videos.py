"""Damaged videos of many codecs: the frames of a full decode, or our error.

A video is written, damaged (cut, bits flipped, zeros, bytes put in or taken out, a box
of its container renamed, its head or its pictures only) and read by each backend, at
single times and several at once, in a process of its own. Rules: no crash; no hang; a
frame that is returned is the one that a full decode by PyAV shows at that time; every
failure is a VideoDecodeError that names file, backend and reason.
"""

import contextlib
import multiprocessing
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import av
import numpy as np

from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.video_index import VideoIndex
from mmfusion.datasets.media.video_io import open_video
from mmfusion.utils.errors import VideoDecodeError
from tests.campaigns.campaign import main
from tests.video_files import set_matrix

os.environ.setdefault("SVT_LOG", "0")  # of the AV1 encoder: errors only

LIMIT = 60.0  # seconds for one damaged video, all reads together
BACKENDS = ("auto", "decord")
NUM_FRAMES = 30
_BOX = re.compile(
    rb"moov|trak|mdia|minf|stbl|stsd|stts|stss|ctts|stsc|stsz|stco|edts|elst|tkhd|mdhd"
    rb"|hdlr|avc1|avcC|hvc1|hvcC|mvhd|moof|traf|trun|tfhd|tfdt|mvex|trex|mdat|ftyp|esds"
    rb"|movi|strh|strf|idx1|00dc|avih"
)
_OPEN = "keyint=8:min-keyint=8:open-gop=1:bframes=2:scenecut=0"
_QUIET = {"log-level": "none"}


@dataclass(frozen=True)
class Source:
    """A kind of video before it is damaged."""

    suffix: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (96, 64)
    num_frames: int = NUM_FRAMES
    variable: bool = False
    muxer: dict[str, str] = field(default_factory=dict)
    matrix: Sequence[int] | None = None
    with_sound: bool = False


def _x265(parameters: str) -> dict[str, str]:
    return {"x265-params": f"log-level=none:{parameters}"}


SOURCES = {
    "h264": Source("mp4", "libx264", {"g": "8"}),
    "h264 open": Source("mp4", "libx264", {"x264-params": _OPEN}),
    "h264 refresh": Source("mp4", "libx264", {"intra-refresh": "1", "g": "8"}),
    "h264 one key": Source("mp4", "libx264", {"g": "999", "bf": "0"}),
    "h264 plain": Source("mp4", "libx264", {"g": "5", "bf": "0"}),
    "h264 10 bit": Source("mp4", "libx264", {"g": "8"}, "yuv420p10le"),
    "h264 odd": Source("mkv", "libx264", {"g": "8"}, "yuv444p", (95, 63)),
    "h264 fragments": Source(
        "mp4", "libx264", {"g": "8"}, muxer={"movflags": "frag_keyframe+empty_moov"}
    ),
    "h264 sound": Source("mp4", "libx264", {"g": "8"}, with_sound=True),
    "h264 variable": Source("mkv", "libx264", {"g": "8"}, variable=True),
    "h264 ts": Source("ts", "libx264", {"g": "8"}),
    "h264 flv": Source("flv", "libx264", {"g": "8"}),
    "h264 avi": Source("avi", "libx264", {"g": "8", "bf": "0"}),
    "h264 one": Source("mp4", "libx264", num_frames=1),
    "h264 turned": Source(
        "mp4", "libx264", {"g": "8"}, matrix=[0, 1, 0, -1, 0, 0, 0, 0, 1]
    ),
    "h264 mirrored": Source(
        "mp4", "libx264", {"g": "8"}, matrix=[-1, 0, 0, 0, 1, 0, 0, 0, 1]
    ),
    "hevc": Source("mp4", "libx265", _x265("keyint=8:open-gop=0")),
    "hevc open": Source("mp4", "libx265", _x265("keyint=8:min-keyint=8:open-gop=1")),
    "hevc 10 bit": Source("mkv", "libx265", _x265("keyint=8"), "yuv420p10le"),
    "vp8": Source("webm", "libvpx", {"g": "8", "b": "200k"}),
    "vp8 hidden": Source(
        "webm", "libvpx", {"g": "16", "auto-alt-ref": "1", "lag-in-frames": "16"}
    ),
    "vp9": Source("webm", "libvpx-vp9", {"g": "8", "deadline": "realtime"}),
    "av1": Source("mp4", "libsvtav1", {"g": "8", "preset": "12"}, size=(128, 96)),
    "mpeg4 avi": Source("avi", "mpeg4", {"g": "8", "bf": "0"}),
    "mpeg4 avi b": Source("avi", "mpeg4", {"g": "8", "bf": "2"}),
    "mpeg4 mp4": Source("mp4", "mpeg4", {"g": "8", "bf": "2"}),
    "mpeg2 ts": Source("ts", "mpeg2video", {"g": "8", "bf": "2"}),
    "mpeg2 mpg": Source("mpg", "mpeg2video", {"g": "8", "bf": "2"}),
    "mpeg2 mp4": Source("mp4", "mpeg2video", {"g": "8"}),
    "mjpeg": Source("avi", "mjpeg", pix_fmt="yuvj420p"),
    "mjpeg mov": Source("mov", "mjpeg", pix_fmt="yuvj420p"),
    "ffv1": Source("mkv", "ffv1", {"level": "3", "slicecrc": "1", "slices": "4"}),
    "prores": Source("mov", "prores_ks", pix_fmt="yuv422p10le"),
    "wmv2": Source("asf", "wmv2", {"g": "8"}),
    "gif": Source("gif", "gif", pix_fmt="rgb8"),
    "sound only": Source("mp4", "", num_frames=0, with_sound=True),
}


def _picture(number: int, size: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) uint8: large squares in colours that no other frame has."""
    width, height = size
    random = np.random.default_rng(number)
    squares = random.integers(20, 230, (3, 4, 3), np.uint8)
    image = np.kron(squares, np.ones((height // 3 + 1, width // 4 + 1, 1), np.uint8))
    return np.ascontiguousarray(image[:height, :width])


@cache
def content_of(name: str) -> bytes:
    """Bytes of an undamaged video; the same in every process."""
    source = SOURCES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{source.suffix}"
        with av.open(str(path), "w", options=source.muxer) as output:
            sound: Any = source.with_sound and output.add_stream("aac", rate=8000)
            if source.codec:
                _add_pictures(output, source)
            if sound:
                _add_sound(output, sound)
        if source.matrix is not None:
            set_matrix(path, source.matrix)
        return path.read_bytes()


def _add_pictures(output: "av.container.OutputContainer", source: Source) -> None:
    options = {"threads": "1", **source.options}
    stream: Any = output.add_stream(source.codec, rate=10, options=options)
    stream.width, stream.height = source.size
    stream.pix_fmt = source.pix_fmt
    gaps = np.random.default_rng(0).integers(1, 4, source.num_frames)
    stamps = np.cumsum(gaps) if source.variable else np.arange(source.num_frames)
    for number, stamp in enumerate(stamps.tolist()):
        picture = _picture(number, source.size)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = stamp, Fraction(1, 10)
        output.mux(stream.encode(frame))
    output.mux(stream.encode())


def _add_sound(output: "av.container.OutputContainer", stream: Any) -> None:
    for number in range(8):
        silence = np.zeros((1, 1024), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, number * 1024
        frame.time_base = Fraction(1, 8000)
        output.mux(stream.encode(frame))
    output.mux(stream.encode())


Damage = Callable[[bytearray, np.random.Generator], bytes]


def _place(data: bytearray, random: np.random.Generator) -> int:
    """A byte anywhere, or near the head or the end, where containers keep tables."""
    near = int(random.integers(3))
    if near == 0:
        return int(random.integers(len(data)))
    offset = int(random.integers(min(len(data), 1500)))
    return offset if near == 1 else len(data) - 1 - offset


def _cut(data: bytearray, random: np.random.Generator) -> bytes:
    return bytes(data[: random.integers(len(data))])


def _flip(data: bytearray, random: np.random.Generator) -> bytes:
    for _ in range(int(random.integers(1, 12))):
        data[_place(data, random)] ^= 1 << int(random.integers(8))
    return bytes(data)


def _overwrite(data: bytearray, random: np.random.Generator) -> bytes:
    place, size = _place(data, random), int(random.integers(1, 200))
    size = min(size, len(data) - place)
    data[place : place + size] = random.bytes(size)
    return bytes(data)


def _zero(data: bytearray, random: np.random.Generator) -> bytes:
    place, size = _place(data, random), int(random.integers(1, 400))
    size = min(size, len(data) - place)
    data[place : place + size] = bytes(size)
    return bytes(data)


def _insert(data: bytearray, random: np.random.Generator) -> bytes:
    place = _place(data, random)
    data[place:place] = random.bytes(int(random.integers(1, 50)))
    return bytes(data)


def _delete(data: bytearray, random: np.random.Generator) -> bytes:
    place = _place(data, random)
    del data[place : place + int(random.integers(1, 50))]
    return bytes(data)


def _rename(data: bytearray, random: np.random.Generator) -> bytes:
    boxes = [match.start() for match in _BOX.finditer(data)]
    if boxes:
        place = int(random.choice(boxes))
        data[place : place + 4] = b"free"
    return bytes(data)


def _damage_a_box(data: bytearray, random: np.random.Generator) -> bytes:
    boxes = [match.start() for match in _BOX.finditer(data)]
    place = int(random.choice(boxes or [0])) + int(random.integers(-4, 40))
    data[min(max(place, 0), len(data) - 1)] = int(random.integers(256))
    return bytes(data)


def _swap(data: bytearray, random: np.random.Generator) -> bytes:
    size = int(random.integers(16, 600))
    one, two = sorted(random.integers(max(1, len(data) - size), size=2).tolist())
    if two - one >= size:
        first, second = data[one : one + size], data[two : two + size]
        data[one : one + size], data[two : two + size] = second, first
    return bytes(data)


DAMAGES: dict[str, Damage] = {
    "whole": lambda data, random: bytes(data),
    "cut": _cut,
    "bits": _flip,
    "bytes": _overwrite,
    "zeros": _zero,
    "put in": _insert,
    "taken out": _delete,
    "box renamed": _rename,
    "box damaged": _damage_a_box,
    "swapped": _swap,
    "text": lambda data, random: b"no video\n" * 50,
    "empty": lambda data, random: b"",
}
_OFTEN = [name for name in DAMAGES if name not in ("whole", "text", "empty")]


def trial(number: int, random: np.random.Generator, folder: Path) -> str:
    """Every source and every damage in turn; the rest is drawn."""
    names = [*SOURCES]
    name = names[number % len(names)]
    rare = number // len(names) % 28
    damage = (
        ("whole", "text", "empty")[rare] if rare < 3 else str(random.choice(_OFTEN))
    )
    data = DAMAGES[damage](bytearray(content_of(name)), random)
    suffix = SOURCES[name].suffix if random.random() < 0.9 else "mkv"
    path = folder / f"video.{suffix}"
    path.write_bytes(data)
    outcome = _in_a_process(path, int(random.integers(2**31)))
    if damage == "whole" and SOURCES[name].num_frames:
        told = f"{name}: {outcome} of an undamaged video"
        assert outcome.startswith("auto as decoded") and "undef" not in outcome, told
    return f"{damage}: {outcome}"


def _in_a_process(path: Path, seed: int) -> str:
    """Outcome of reading a video in a child process, which may die or hang."""
    # a fork of this process would inherit the locks of encoders' threads
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.campaigns.mutated_videos", "decord"])
    pipe, end = context.Pipe()
    process = context.Process(target=_child, args=(end, path, seed))
    process.start()
    end.close()
    try:
        assert pipe.poll(LIMIT), f"{path.name}: no end after {LIMIT:g} s"
        outcome = pipe.recv()
    except EOFError:
        process.join()
        raise AssertionError(f"the process died, code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
        pipe.close()
    assert isinstance(outcome, str), outcome
    return outcome


def _child(pipe: Connection, path: Path, seed: int) -> None:
    try:
        outcome: Any = read_as_decoded(path, np.random.default_rng(seed))
    except BaseException as error:
        import traceback

        outcome = [type(error).__name__, traceback.format_exc(limit=-5)]
    pipe.send(outcome)
    pipe.close()
    os._exit(0)


def read_as_decoded(path: Path, random: np.random.Generator) -> str:
    """Read by each backend and compare with a full decode: what became of it."""
    outcomes, undefined = [], ""
    for backend in BACKENDS:
        try:
            reader = open_video(path, backend)
        except VideoDecodeError as error:
            _check_error(error, path)
            outcomes.append(f"{backend} refused")
            continue
        index = read_index(path)
        full = PlainDecode(index)
        single = [[t] for t in random.uniform(0, reader.duration, 3)]
        batches = [np.linspace(0, reader.times[-1], 8), *single, reader.times[-1:]]
        refused = 0
        for seconds in batches:
            try:
                frames = reader.frames_at(np.asarray(seconds))
            except VideoDecodeError as error:
                _check_error(error, path)
                refused += 1
                continue
            for second, frame in zip(map(float, seconds), frames, strict=True):
                number = int(reader.index_at(np.array([second]))[0])
                expected = full.at(second, number)
                tolerance = 0 if backend == "auto" else 2
                if _same(frame, expected, tolerance):
                    continue
                assert not _is_defined(index, second, number, expected), (
                    f"{backend}: another frame at {second} s of {reader.duration} s"
                )
                undefined = ", some undefined"
        kinds = {0: "as decoded", len(batches): "refused"}
        outcomes.append(f"{backend} {kinds.get(refused, 'refused in part')}")
    kind = (
        "refused" if all(o[-7:] == "refused" for o in outcomes) else ", ".join(outcomes)
    )
    return kind + undefined


def _same(
    frame: np.ndarray | None, expected: np.ndarray | None, tolerance: int
) -> bool:
    if frame is None or expected is None or expected.shape != frame.shape:
        return False
    return int(np.abs(frame.astype(int) - expected).max()) <= tolerance


def _is_defined(
    index: VideoIndex, second: float, number: int, expected: np.ndarray | None
) -> bool:
    """True if plain PyAV gives this picture in each way of decoding it.

    Damage may leave a part of a picture unwritten, where older pictures in the same
    memory show through, and may outlive a keyframe, all without a word from the
    decoder. Then the picture depends on what was decoded before, or on when frames are
    freed, and nobody can say what is right.
    """
    place = np.searchsorted(index.keyframes, number, side="right") - 1
    others = [PlainDecode(index, held=True)]
    for key in {int(index.keyframes[max(place - back, 0)]) for back in (0, 1)}:
        others += [PlainDecode(index, key=key, held=held) for held in (False, True)]
    pictures = [other.at(second, number) for other in others]
    return all(_same(one, expected, 0) for one in pictures if one is not None)


class PlainDecode:
    """Frames of a video by plain PyAV, which goes on after an error, as players.

    Args:
        index: which video, and where its keyframes are.
        key: frame to begin with; nothing is decoded if it proves no keyframe.
        held: no frame is freed before the end, so that none reuses another's memory.
    """

    def __init__(self, index: VideoIndex, *, key: int = 0, held: bool = False) -> None:
        kept = []
        self._index, self._skipped = index, key
        self._frames: list[tuple[int | None, np.ndarray]] = []
        with av.open(index.path, metadata_errors="ignore") as container:
            stream = container.streams.video[index.stream]
            stream.codec_context.thread_count = 1  # VP8's threads race on damage
            self._unit = float(stream.time_base or 0)
            for packet in _packets(container, stream):
                if key and packet.size and packet.pos != index.positions[key]:
                    continue
                key = 0
                with contextlib.suppress(av.FFmpegError):
                    for frame in packet.decode():
                        if self._skipped and not self._frames and not frame.key_frame:
                            return
                        kept += [frame] * held
                        image = frame.to_ndarray(format="rgb24")
                        self._frames.append((frame.pts, image))

    def at(self, second: float, number: int) -> np.ndarray | None:
        """Picture shown at a time, ``number`` where the file states no times."""
        pts, frames = self._index.pts, self._frames
        stamps = [stamp for stamp, _ in frames]
        if (
            pts is not None
            and {*stamps} <= {*pts.tolist()}
            and len({*stamps}) == len(stamps)
        ):
            first = pts[0] * self._unit - self._index.times[0]
            shown = [
                picture
                for stamp, picture in frames
                if stamp is not None and stamp * self._unit - first <= second + 1e-3
            ]
            before = frames[0][1] if frames and not self._skipped else None
            picture = shown[-1] if shown else before
        else:
            place = number - self._skipped
            picture = frames[place][1] if 0 <= place < len(frames) else None
        return None if picture is None else self._index.display.show(picture)


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    with contextlib.suppress(av.FFmpegError):
        yield from container.demux(stream)


def _check_error(error: VideoDecodeError, path: Path) -> None:
    assert error.backend and error.reason and path.name in str(error), str(error)


if __name__ == "__main__":
    main(trial, __doc__, 1000)
