"""Interface of every source of frames: RGB pictures by seconds or by index."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from mmfusion.layouts.clip_extent import SLACK_SECONDS
from mmfusion.utils.errors import InputError, MediaError, VideoDecodeError

TIME_EPS = 1e-3  # Matroska rounds time stamps to milliseconds


class VideoReader(ABC):
    """Frames of one clip's source by seconds or by index.

    Attributes:
        path: absolute path.
        backend: ``decord``, ``pyav`` or ``cv2``.
        times: (n,) seconds at which each frame appears, the first at 0.
        duration: seconds, the last frame's display time included.
    """

    path: str
    backend: str
    times: np.ndarray
    duration: float

    @property
    def num_frames(self) -> int:
        return len(self.times)

    @property
    def fps(self) -> float:
        """Frames per second on average."""
        return self.num_frames / self.duration

    def index_at(self, seconds: np.ndarray) -> np.ndarray:
        """Indices (n,) of the frames shown at ``seconds`` (n,).

        A time up to half a second beyond the end takes the last frame.

        Raises:
            MediaError: a time lies further outside.
        """
        seconds = np.asarray(seconds, dtype=np.float64).reshape(-1)
        if len(seconds) == 0:
            raise InputError("seconds: got none; expected one or more")
        low, high = seconds.min(), seconds.max()
        if not (low >= -TIME_EPS and high <= self.duration + SLACK_SECONDS):
            reason = (
                f"the clip asks for {low:.3f} to {high:.3f} s;"
                f" expected 0 to {self.duration:.3f} s"
            )
            raise self.broken(reason)
        shown = np.searchsorted(self.times, seconds + TIME_EPS, side="right") - 1
        return np.clip(shown, 0, self.num_frames - 1)

    def frames_at(self, seconds: np.ndarray) -> list[np.ndarray]:
        """The frames shown at ``seconds`` (n,): n arrays (h, w, 3), uint8, RGB."""
        return self.frames_at_index(self.index_at(seconds))

    def frames_at_index(self, index: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Frames by number: n arrays (h, w, 3), uint8, RGB, each with its own memory.

        Raises:
            MediaError: a number out of range, or a frame that cannot be read.
        """
        index = np.asarray(index, dtype=np.int64).reshape(-1)
        if len(index) and not 0 <= index.min() <= index.max() < self.num_frames:
            reason = (
                f"frames {index.min()} to {index.max()} asked;"
                f" expected 0 to {self.num_frames - 1}"
            )
            raise self.broken(reason)
        frames = self._read(np.unique(index))
        # a later transform may write into a frame: a repeated one must be a copy
        taken: set[int] = set()
        out = []
        for number in index.tolist():
            frame = frames[number]
            out.append(frame.copy() if number in taken else frame)
            taken.add(number)
        return out

    def stream(self) -> Iterator[np.ndarray]:
        """Every frame in order, (h, w, 3) uint8 RGB, one at a time in memory.

        Raises:
            MediaError: a frame cannot be read; one that was lost is known at the end.
        """
        for number in range(self.num_frames):
            yield self.frames_at_index([number])[0]

    def broken(self, reason: str) -> MediaError:
        """The error that says that this file or folder cannot be used."""
        return VideoDecodeError(self.path, self.backend, reason)

    @abstractmethod
    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        """Read the frames of the sorted, unique ``index`` (n,)."""
