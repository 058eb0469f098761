"""Small videos and frame folders whose frame number can be read from the picture."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

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
) -> Path:
    """A video at 10 fps; ``stamps`` (in 1/100 s) make its rate variable."""
    stamps = stamps or [10 * number for number in range(num_frames)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 100)
        for number, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def set_rotation(path: Path, angle: int) -> Path:
    """Write a clockwise display rotation into the track header of an mp4."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version 0: the matrix
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[angle]
    matrix = [cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 14]
    data[place : place + 36] = struct.pack(">9i", *(value << 16 for value in matrix))
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
