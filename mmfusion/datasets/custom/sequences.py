"""One video, one file of landmarks, or both: opened, measured, and held together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmfusion.datasets.media.index_cache import read_index
from mmfusion.layouts.clip_extent import SLACK_SECONDS
from mmfusion.layouts.landmarks import LandmarkOptions, Landmarks, read_landmarks
from mmfusion.utils.errors import InputError, SkeletonError

_FINE_FPS = 1000.0  # frame numbers a second of a video whose rate varies
_FRAMES_LOST = 2  # at the end of a video, by readers that stop early
_EVEN = 0.5  # frames that a picture may lie off an even rate


@dataclass(frozen=True)
class VideoFacts:
    """A video as it was found.

    Attributes:
        duration: seconds. times: (n,) seconds at which each frame appears.
        size: (height, width) of a frame as shown.
    """

    duration: float
    times: np.ndarray
    size: tuple[int, int]

    @property
    def fps(self) -> float:
        """Frames per second on average."""
        return len(self.times) / self.duration

    def numbering(self) -> tuple[np.ndarray, float]:
        """Rising frame numbers (n,) of the frames, and how many go to a second.

        They are 0, 1, 2... where the rate is even, else milliseconds: joints are of
        the moment of their picture.
        """
        counted = np.arange(len(self.times))
        if np.abs(self.times * self.fps - counted).max() <= _EVEN:
            return counted, self.fps
        fine = np.rint(self.times * _FINE_FPS).astype(np.int64)
        fine = np.maximum.accumulate(fine - counted) + counted  # rise by 1 at least
        return fine, _FINE_FPS


def open_video_facts(path: Path) -> VideoFacts:
    """Length, rate and size of a video.

    Raises:
        VideoDecodeError: it is none, is empty, or cannot be decoded.
    """
    index = read_index(path)
    return VideoFacts(index.duration, index.times, index.size)


@dataclass(frozen=True)
class Timed:
    """Landmarks with the moment of each row.

    Attributes:
        landmarks: as read. frame_id: (t,) rising frame numbers. fps: of these numbers.
    """

    landmarks: Landmarks
    frame_id: np.ndarray
    fps: float

    @property
    def duration(self) -> float:
        """Seconds up to the end of the last frame."""
        return (int(self.frame_id[-1]) + 1) / self.fps


def read_timed(path: Path, video: VideoFacts | None, options: LandmarkOptions) -> Timed:
    """Landmarks of a video, or of none, with the moment of each row.

    Without a rate, as many rows as the video has frames are these frames.

    Raises:
        SkeletonError: the file is wrong, nothing says its rate, or it is of another
            length than the video.
    """
    found = read_landmarks(path, options)
    rows = len(found.keypoint)
    numbers = found.frame_id if found.frame_id is not None else np.arange(rows)
    fps = found.fps
    if fps is None:
        fps, numbers = _rate_of_rows(path, video, numbers)
    timed = Timed(found, numbers, fps)
    if video is not None and timed.duration > video.duration + SLACK_SECONDS:
        raise SkeletonError(
            str(path),
            f"its {rows} rows reach to {timed.duration:.2f} s at {fps:g} frames a"
            f" second, and the video has {len(video.times)} frames and"
            f" {video.duration:.2f} s; expected landmarks of this video: give their"
            " rate by --fps",
        )
    return timed


def _rate_of_rows(
    path: Path, video: VideoFacts | None, numbers: np.ndarray
) -> tuple[float, np.ndarray]:
    """Frame numbers a second, and the rows' numbers, where the file says no rate."""
    if video is None:
        raise InputError(
            f"{path} does not say its frame rate, and there is no video; expected --fps"
        )
    frames = len(video.times)
    gapless = numbers[-1] == len(numbers) - 1
    if numbers[-1] >= frames or (gapless and len(numbers) < frames - _FRAMES_LOST):
        raise SkeletonError(
            str(path),
            f"it has {len(numbers)} rows, to frame {numbers[-1]}, and the video has"
            f" {frames} frames; expected a row for each frame, or the rows' rate by"
            " --fps",
        )
    every, fps = video.numbering()
    return fps, every[numbers]
