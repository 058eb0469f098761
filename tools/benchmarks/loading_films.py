"""Films that take as long to decode as real ones, and clips of them.

A texture of all sizes under a camera that pans and shakes, a patch that moves as hands
do, and noise of a sensor: x264 has to spend the bits that are asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from mmfusion.datasets.annotation import write_annotation
from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.video_encoding import (
    Encoder,
    EncodeSettings,
    segments_of,
)
from mmfusion.utils.paths import write_atomic

CHUNK_SECONDS = 15.0
_NOISE = 4.0  # of 255, standard deviation


@dataclass(frozen=True)
class Film:
    """A video file, or a folder of chunks.

    Attributes:
        name: in tables. path: of it. file: that a reader of files opens.
        num_frames: in all. fps: of it. megabits: a second.
    """

    name: str
    path: Path
    file: Path
    num_frames: int
    fps: float
    megabits: float

    def clips(self, number: int, length: int) -> list[tuple[int, int]]:
        """First frame and count of clips at equal distances."""
        length = min(length, self.num_frames)
        middles = (np.arange(number) + 0.5) / number
        starts = (middles * (self.num_frames - length)).astype(int)
        return [(start, length) for start in starts.tolist()]


def film_of(name: str, path: Path) -> Film:
    """A video file or the first chunk of a folder of them."""
    file = path / "0.MP4" if path.is_dir() else path
    index = read_index(file)
    rate = file.stat().st_size * 8e-6 / index.duration
    count = len(index.times)
    return Film(name, path, file, count, count / index.duration, rate)


def make_film(
    folder: Path,
    *,
    size: tuple[int, int],
    gop: int,
    megabits: float,
    num_frames: int,
    fps: int = 50,
) -> Path:
    """H.264 by x264's preset veryfast, with its B-frames; one made before is kept.

    Args:
        folder: for it. size: (height, width). gop: frames between keyframes.
        megabits: a second. num_frames, fps: of the film.
    """
    name = f"{size[0]}p_gop{gop}_{megabits:g}mbit_{num_frames}.mp4"
    path = folder / name
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    made = path.with_suffix(".part.mp4")
    options = {"preset": "veryfast", "g": str(gop), "keyint_min": str(gop)}
    with av.open(str(made), "w") as output:
        stream = output.add_stream(
            "libx264", rate=fps, options={**options, "sc_threshold": "0"}
        )
        stream.height, stream.width = size
        stream.pix_fmt, stream.bit_rate = "yuv420p", int(megabits * 1e6)
        for picture in _pictures(size, num_frames, fps):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        output.mux(stream.encode())
    made.rename(path)
    return path


def _pictures(size: tuple[int, int], num: int, fps: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    height, width = size
    room = np.array([height // 4, width // 4])
    scene = _texture(random, height + room[0], width + room[1])
    hand = _texture(random, height // 2, width // 2)
    noise = random.normal(0, _NOISE, (4, height, width, 3)).astype(np.int16)
    for number in range(num):
        t = number / fps
        pan = 0.4 * np.sin([1.3 * t, 0.7 * t]) + 0.05 * np.sin([9 * t, 7 * t])
        top, left = (room * (0.5 + pan)).astype(int)
        picture = scene[top : top + height, left : left + width].copy()
        path = 0.5 + 0.5 * np.sin([2.1 * t, 1.7 * t])
        y, x = (np.array([height // 2, width // 2]) * path).astype(int)
        picture[y : y + height // 2, x : x + width // 2] = hand
        turned = np.roll(noise[number % 4], int(random.integers(height)), axis=0)
        yield cv2.add(picture, turned, dtype=cv2.CV_8U)


def _texture(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8 whose waves are the stronger the longer they are."""
    total = np.zeros((height, width, 3), np.float32)
    for step in (2, 4, 8, 16, 32, 64, 128, 256):
        coarse = random.standard_normal((height // step + 2, width // step + 2, 3))
        total += step**0.5 * cv2.resize(
            coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
    return np.clip(128 + 45 * total / total.std(), 0, 255).astype(np.uint8)


def make_chunks(source: Path, folder: Path) -> Path:
    """Chunks as ``prepare.py --chunk-seconds 15`` writes them; kept once made."""
    if folder.is_dir():
        return folder
    index, settings = read_index(source), EncodeSettings(chunk_seconds=CHUNK_SECONDS)
    encoder = Encoder(index, settings)
    made = [
        (segment.start, encoder.encode(segment, "{}"))
        for segment in segments_of(index, settings)
    ]
    folder.mkdir(parents=True)
    for start, content in made:
        write_atomic(folder / f"{start:g}.MP4", content)
    return folder


def annotate(
    path: Path, film: Film, clips: Sequence[tuple[int, int]], classes: int = 2
) -> None:
    """Write an annotation of clips of a film, whose folder is the data root."""
    chunked = film.path != film.file
    records = [
        dict(
            id=f"{film.name}#{number}",
            split="train",
            video=film.path.name,
            start_sec=first / film.fps,
            end_sec=(first + count) / film.fps,
            index_fps=film.fps if chunked else None,
            label={"action": number % classes},
            extra={"chunk_seconds": CHUNK_SECONDS} if chunked else None,
        )
        for number, (first, count) in enumerate(clips)
    ]
    names = [f"class {number}" for number in range(classes)]
    meta = dict(version=1, dataset="films", classes={"action": names})
    write_annotation(path, meta, records)
