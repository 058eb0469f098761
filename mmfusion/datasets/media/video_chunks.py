"""A long video cut into short files, as AVION and LaViLa store EPIC-KITCHENS-100.

``P01_01.MP4`` is a folder there, with ``0.MP4``, ``15.MP4``, ``30.MP4``...: each file
begins at the second that its name says.
"""

import os
from collections.abc import Sequence

import numpy as np

from mmfusion.datasets.media.video_io import open_video
from mmfusion.utils.errors import VideoDecodeError
from mmfusion.utils.paths import check_link

_SUFFIXES = (".MP4", ".mp4")


class ChunkedVideo:
    """Frames of a video in chunks, by seconds of the whole.

    Args:
        folder: absolute path of the folder of chunks.
        chunk_seconds: length of each chunk but the last.
        backend, num_threads: see :func:`mmfusion.datasets.media.video_io.open_video`.
        roots: folders to which a chunk that is a link may lead; None: anywhere.

    Raises:
        VideoDecodeError: the folder is missing.
    """

    def __init__(
        self,
        folder: str,
        chunk_seconds: float,
        backend: str = "auto",
        num_threads: int = 1,
        roots: Sequence[str] | None = None,
    ) -> None:
        if not os.path.isdir(folder):
            raise VideoDecodeError(folder, "open", "the folder of chunks is missing")
        self.path = folder
        self.chunk_seconds = chunk_seconds
        self._options = backend, num_threads
        self._roots = roots

    def frames_at(self, seconds: np.ndarray) -> list[np.ndarray]:
        """The frames shown at ``seconds`` (n,): n arrays (h, w, 3), uint8, RGB.

        Raises:
            VideoDecodeError: a chunk is missing or cannot be decoded.
        """
        seconds = np.asarray(seconds, dtype=np.float64).reshape(-1)
        number = np.floor(np.maximum(seconds, 0) / self.chunk_seconds).astype(int)
        frames: list[np.ndarray | None] = [None] * len(seconds)
        for one in np.unique(number).tolist():
            places = np.flatnonzero(number == one)
            start = one * self.chunk_seconds
            reader = open_video(self._file(start), *self._options)
            found = reader.frames_at(seconds[places] - start)
            for place, frame in zip(places.tolist(), found, strict=True):
                frames[place] = frame
        return [frame for frame in frames if frame is not None]

    def _file(self, start: float) -> str:
        for suffix in _SUFFIXES:
            file = os.path.join(self.path, f"{start:g}{suffix}")
            if os.path.isfile(file):
                if self._roots is not None:
                    check_link(file, self._roots)
                return file
        raise VideoDecodeError(
            self.path,
            "open",
            f"the chunk {start:g}{_SUFFIXES[0]} is missing, with chunks of"
            f" {self.chunk_seconds:g} s; cut the video again, or set chunk_seconds",
        )
