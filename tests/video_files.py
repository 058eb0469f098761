"""Small videos and frame folders whose frame number can be read from the picture."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np


def picture(number: int, size: tuple[int, int] = (128, 96)) -> np.ndarray:
    """(h, w, 3): frame ``number`` as brightness, and a white corner at the top left."""
    width, height = size
    image = np.full((height, width, 3), 20 + 4 * number, np.uint8)
    image[: height // 4, : width // 4] = 255
    return image


def number_of(image: np.ndarray) -> int:
    """The frame number of a (decoded) picture."""
    height, width = image.shape[:2]
    middle = image[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8]
    return round((float(middle.mean()) - 20) / 4)


def write_video(
    path: Path,
    num_frames: int = 12,
    stamps: Sequence[int] | None = None,
    size: tuple[int, int] = (128, 96),
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    *,
    pix_fmt: str = "yuv420p",
    rate: int = 10,
    aspect: Fraction | None = None,
    transfer: int | None = None,
    matrix: int | None = None,
    colour_range: int | None = None,
    with_sound: bool = False,
) -> Path:
    """A video at 10 fps; ``stamps`` (in 1/100 s) make its rate variable.

    ``transfer``, ``matrix`` and ``colour_range`` are FFmpeg's numbers.
    """
    stamps = stamps or [10 * number for number in range(num_frames)]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        sound: Any = with_sound and container.add_stream("aac", rate=8000)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        if rate == 10:
            context.time_base = Fraction(1, 100)
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        colours = dict(color_trc=transfer, colorspace=matrix, color_range=colour_range)
        for name, value in colours.items():
            if value is not None:
                setattr(context, name, value)
        for number, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            frame = frame.reformat(
                format=pix_fmt, dst_colorspace=matrix, dst_color_range=colour_range
            )
            frame.pts, frame.time_base = stamp, Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound:
            write_silence(container, sound)
    return path


def write_silence(container: Any, sound: Any) -> None:
    silence = av.AudioFrame.from_ndarray(
        np.zeros((1, 8192), np.float32), format="fltp", layout="mono"
    )
    silence.sample_rate, silence.pts = 8000, 0
    silence.time_base = Fraction(1, 8000)
    fifo = av.AudioFifo()
    fifo.write(silence)
    for frame in fifo.read_many(1024):
        container.mux(sound.encode(frame))
    container.mux(sound.encode())


def set_rotation(path: Path, angle: int) -> Path:
    """Write a clockwise display rotation into the track header of an mp4."""
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[angle]
    return set_matrix(path, [cos, sin, 0, -sin, cos, 0, 0, 0, 1])


def set_matrix(path: Path, matrix: Sequence[float]) -> Path:
    """Write a display matrix (9,) into the track header of an mp4."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version 0: the matrix
    units = [1 << 16, 1 << 16, 1 << 30] * 3
    values = [round(value * unit) for value, unit in zip(matrix, units, strict=True)]
    data[place : place + 36] = struct.pack(">9i", *values)
    path.write_bytes(data)
    return path


def write_frames(
    folder: Path, numbers: Sequence[int], template: str = "img_{:05d}.png"
) -> Path:
    """A folder of images; file ``n`` shows picture ``n``."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        image = np.ascontiguousarray(picture(number)[..., ::-1])
        cv2.imwrite(str(folder / template.format(number)), image)
    return folder


def add_clean_aperture(path: Path, crop: tuple[int, int, int, int]) -> Path:
    """Put a ``clap`` box into an mp4 of 128x96 pixels whose tables are at its end."""
    top, bottom, left, right = crop
    sides = [128 - left - right, 1, 96 - top - bottom, 1]
    shift = [left - right, 2, top - bottom, 2]
    box = struct.pack(">I4s4I i I i I", 40, b"clap", *sides, *shift)
    data = bytearray(path.read_bytes())
    entry = data.index(b"avc1", data.index(b"stsd")) - 4
    end = entry + struct.unpack_from(">I", data, entry)[0]
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        place = data.index(kind, data.index(b"moov")) - 4
        (size,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, size + len(box))
    data[end:end] = box
    path.write_bytes(data)
    return path
