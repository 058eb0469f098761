"""Frames of a video made small once and kept in a file, so that no epoch decodes again.

A small model takes longer to decode a clip than to learn from it. The files lie in
``small_frames`` of the data root, one a video and size; runs and processes share them.
They may be deleted at any time, and are made anew where a video has changed.
"""

import contextlib
import os

import cv2
import numpy as np

from mmfusion.datasets.media.kept_files import KeptFiles, kept_name
from mmfusion.datasets.media.video_reader import VideoReader
from mmfusion.utils.errors import MediaError, VideoDecodeError
from mmfusion.utils.npz_file import read_npy

FOLDER = "small_frames"
MOST_VIDEO_BYTES = 2**26  # of one video; longer ones are decoded where they are read
MOST_BYTES = 2**33  # of the folder
_FORMAT = 1  # of the files
_kept = KeptFiles("small frames are not kept, so each epoch decodes the videos")


class SmallFrames(VideoReader):
    """A video whose frames were made small before.

    Args:
        source: the video itself. frames: (n, h, w, 3) uint8, one for each of its.
    """

    backend = "its small frames"

    def __init__(self, source: VideoReader, frames: np.ndarray) -> None:
        self.path, self.times, self.duration = (
            source.path,
            source.times,
            source.duration,
        )
        self._frames = frames

    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        return {number: self._frames[number].copy() for number in index.tolist()}


def shrink(frame: np.ndarray, scale: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) -> (scale[1], scale[0], 3), by the mean of the pixels of a place."""
    if frame.shape[1::-1] == tuple(scale):
        return frame
    return cv2.resize(frame, tuple(scale), interpolation=cv2.INTER_AREA)


def kept_small(
    source: VideoReader, scale: tuple[int, int], root: str
) -> VideoReader | None:
    """The video with small frames, which are made and kept where there are none.

    Args:
        source: an opened video file. scale: (width, height) of the frames.
        root: the data root.

    Returns:
        None where they are not kept: the video is too long, damaged somewhere or gone,
        or the folder is full or cannot be written. Then read ``source``.
    """
    width, height = scale
    shape = (source.num_frames, height, width, 3)
    if int(np.prod(shape)) > MOST_VIDEO_BYTES:
        return None
    try:
        name = kept_name(source.path, _FORMAT, f"-{width}x{height}")
    except OSError:  # the video was deleted meanwhile
        return None
    path = os.path.join(root, FOLDER, f"{name}.npy")
    if os.path.isfile(path):
        with contextlib.suppress(MediaError):  # damaged: made anew
            frames = read_npy(path, max_bytes=2 * MOST_VIDEO_BYTES, error=_unreadable)
            if frames.shape == shape and frames.dtype == np.uint8:
                return SmallFrames(source, frames)
    if not _kept.has_room(os.path.dirname(path), MOST_BYTES):
        return None
    try:
        frames = np.stack([shrink(frame, scale) for frame in source.stream()])
    except MediaError:  # perhaps nobody asks for the frame that is damaged
        return None
    if frames.shape != shape:
        return None
    _kept.write(path, lambda file: np.save(file, frames))
    return SmallFrames(source, frames)


def _unreadable(path: str, reason: str) -> MediaError:
    return VideoDecodeError(path, SmallFrames.backend, reason)
