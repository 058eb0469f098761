"""Frames that are in memory already, as a video."""

import numpy as np

from mmfusion.datasets.media.video_reader import VideoReader
from mmfusion.utils.errors import InputError


class ArrayVideo(VideoReader):
    """An array of frames at a constant rate.

    Args:
        frames: (t, h, w, 3) uint8 RGB.
        fps: frames per second.
        name: of the video, for errors.

    Raises:
        InputError: another type or shape, no frame, or no positive rate.
    """

    backend = "memory"

    def __init__(self, frames: np.ndarray, fps: float, name: str = "array") -> None:
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            raise InputError(
                f"video {name!r} is an array of {frames.dtype} {frames.shape}; expected"
                " uint8 (t, h, w, 3), RGB frames of 0 to 255"
            )
        if 0 in frames.shape:
            raise InputError(
                f"video {name!r} is an array {frames.shape}; expected one frame or"
                " more, and pixels in it"
            )
        if not 0 < fps < np.inf:
            raise InputError(
                f"fps of video {name!r} is {fps}; expected frames per second above 0"
            )
        self.path = name
        self.frames = frames
        self.times = np.arange(len(frames)) / fps
        self.duration = len(frames) / fps

    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        return {number: self.frames[number].copy() for number in index.tolist()}
