"""A clip as a video: hands on the frames, the scores beside them."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import IO, BinaryIO

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from mmfusion.layouts.hand_layouts import JointLayout
from mmfusion.utils.errors import InputError
from mmfusion.utils.paths import write_atomic
from mmfusion.visualization.hands import draw_hands

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _GREY, _DARK = (240, 240, 240), (120, 120, 120), (28, 28, 32)
_GREEN, _BLUE = (80, 190, 100), (90, 140, 220)
_MIN_HEIGHT = 240  # pixels; a smaller frame is enlarged, or its text would not be read


def write_clip_video(
    path: str | os.PathLike, frames: Iterable[np.ndarray], fps: float
) -> None:
    """Write frames as an mp4 (H.264 where PyAV has it, else MPEG-4), whole or not.

    Args:
        frames: arrays (h, w, 3), uint8, RGB, all of one shape; one is in memory at a
            time, if they come so.

    Raises:
        ValueError: no frames, frames of several shapes, or no positive rate.
    """
    if not fps > 0:
        raise InputError(f"fps is {fps}; expected frames per second above 0")
    with tempfile.TemporaryFile() as file:
        _encode(file, frames, fps)

        def copy(target: BinaryIO) -> None:
            file.seek(0)
            shutil.copyfileobj(file, target)

        write_atomic(path, copy)


def _encode(file: IO[bytes], frames: Iterable[np.ndarray], fps: float) -> None:
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"preset": "veryfast"} if codec == "libx264" else {}
    shape: tuple[int, ...] | None = None
    with av.open(file, "w", format="mp4") as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = container.add_stream(codec, rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        stream.pix_fmt = "yuv420p"
        for image in frames:
            if image.ndim != 3 or image.shape != (shape or image.shape):
                raise InputError(
                    f"frames: got one of shape {image.shape} after {shape}; expected"
                    " (h, w, 3), all of one shape"
                )
            if shape is None:
                shape = image.shape
                # the common codecs want even sides
                stream.height, stream.width = (side - side % 2 for side in shape[:2])
            even = np.ascontiguousarray(image[: stream.height, : stream.width])
            frame = av.VideoFrame.from_ndarray(even, format="rgb24")
            container.mux(stream.encode(frame))
        if shape is None:
            raise InputError("frames: got none; expected one or more, of one shape")
        container.mux(stream.encode())


def render_prediction_clip(
    frames: Sequence[np.ndarray],
    joints2d: np.ndarray | None,
    valid: np.ndarray | None,
    top5: Sequence[tuple[str, float]],
    truth: str | None,
    layout: str | JointLayout = "openpose21",
) -> list[np.ndarray]:
    """Frames with the hands drawn and a panel of the best classes at their right.

    Args:
        frames: n arrays (h, w, 3), uint8, RGB.
        joints2d: (n, hands, j, 2 or more) pixels of the frames; None draws no hands.
        valid: (n, hands) or (n, hands, j) bool.
        top5: (class name, probability in 0..1), best first.
        truth: the right class's name, printed in green where it is listed.
        layout: order of the joints.

    Returns:
        n arrays (H, W, 3), uint8, RGB, all of one even size.
    """
    height, width = frames[0].shape[:2]
    factor = max(1, -(-_MIN_HEIGHT // height))
    panel = _panel(height * factor, top5, truth)
    out = []
    for number, frame in enumerate(frames):
        size = (width * factor, height * factor)
        image = cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)
        if joints2d is not None and valid is not None:
            # a pixel's centre moves with the enlargement
            joints = (joints2d[number, ..., :2] + 0.5) * factor - 0.5
            image = draw_hands(image, joints, valid[number], layout)
        out.append(_even(np.concatenate([image, panel], axis=1)))
    return out


def _panel(
    height: int, top5: Sequence[tuple[str, float]], truth: str | None
) -> np.ndarray:
    """(height, w, 3): truth on top, one line and one bar a class."""
    unit = height / 14  # lines of text and bars fit whatever the height
    scale = unit / 24
    thickness = max(1, round(scale * 1.4))
    titles = [f"truth: {truth}"] if truth is not None else []
    labels = [f"{prob:4.0%}  {name}" for name, prob in top5]
    widths = [
        cv2.getTextSize(text, _FONT, scale, thickness)[0][0] for text in titles + labels
    ]
    width = round(max([8 * unit, *(text + 2 * unit for text in widths)]))
    panel = np.full((height, width, 3), _DARK, np.uint8)
    left, line = round(unit), 1.4 * unit
    for text in titles:
        _write(panel, text, (left, round(line)), scale, thickness, _WHITE)
    line += 1.6 * unit
    for (name, prob), text in zip(top5, labels, strict=True):
        colour = _GREEN if name == truth else _BLUE
        _write(panel, text, (left, round(line)), scale, thickness, _WHITE)
        top, bottom = round(line + 0.35 * unit), round(line + 0.75 * unit)
        right = width - left
        cv2.rectangle(panel, (left, top), (right, bottom), _GREY, 1)
        end = left + round(float(np.clip(prob, 0, 1)) * (right - left))
        cv2.rectangle(panel, (left, top), (end, bottom), colour, cv2.FILLED)
        line += 2.1 * unit
    return panel


def _write(
    panel: np.ndarray,
    text: str,
    place: tuple[int, int],
    scale: float,
    thickness: int,
    colour: tuple[int, int, int],
) -> None:
    # cv2's built-in font has ASCII only
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(panel, plain, place, _FONT, scale, colour, thickness, cv2.LINE_AA)


def _even(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return image[: height - height % 2, : width - width % 2]
