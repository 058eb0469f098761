"""Frames to a video file: small, closed, and the same bytes each time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

# no frame refers to a later one; one thread: the same bytes from the same library
_CODECS = {
    "mp4": ("libx264", {"crf": "23", "preset": "veryfast", "bf": "0"}),
    "webm": ("libvpx", {"crf": "20", "b": "1M", "cpu-used": "4", "auto-alt-ref": "0"}),
}


def write_video(
    path: Path, images: Sequence[np.ndarray], fps: int, container: str = "mp4"
) -> None:
    """Encode frames (height, width, 3), uint8 BGR, all shown, a key frame a second.

    Where a side is no multiple of 4, the H.264 encoder now and then (one file in some
    hundred of 54 lines) gives other bytes for the same frames.

    Args:
        path: the file; its name need not end like the container.
        images: one or more, of one even size.
        fps: frames a second.
        container: ``mp4`` (H.264) or ``webm`` (VP8).
    """
    import av  # a worker that only draws starts without it

    codec, options = _CODECS[container]
    height, width = images[0].shape[:2]
    with av.open(
        str(path), "w", format=container, container_options={"fflags": "+bitexact"}
    ) as file:
        stream = file.add_stream(codec, rate=fps, options={**options, "g": str(fps)})
        assert isinstance(stream, av.VideoStream), "both codecs are of pictures"
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for image in images:
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
