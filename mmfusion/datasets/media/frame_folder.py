"""Frames of a folder with one image file a frame."""

import itertools
import os
from collections.abc import Sequence

import cv2
import numpy as np

from mmfusion.datasets.media.video_index import first_line
from mmfusion.datasets.media.video_reader import VideoReader
from mmfusion.utils.errors import FrameFolderError, InputError, MediaError
from mmfusion.utils.paths import check_link


class FrameFolderReader(VideoReader):
    """A folder with one image file a frame; made by :func:`open_frames`."""

    backend = "cv2"

    def __init__(
        self,
        path: str,
        filename_tmpl: str,
        numbers: np.ndarray,
        times: np.ndarray,
        frame_seconds: float,
        roots: Sequence[str] | None,
    ) -> None:
        self.path, self.times = path, times
        self.duration = float(times[-1]) + frame_seconds
        self._filename_tmpl = filename_tmpl
        self._numbers = numbers
        self._roots = roots

    def _read(self, index: np.ndarray) -> dict[int, np.ndarray]:
        frames: dict[int, np.ndarray] = {}
        shape = None
        for number in index.tolist():
            frame = self._read_image(int(self._numbers[number]))
            shape = shape or frame.shape
            if frame.shape != shape:
                reason = f"frame {number} is {frame.shape}; the clip began with {shape}"
                raise self.broken(reason)
            frames[number] = frame
        return frames

    def broken(self, reason: str) -> MediaError:
        return FrameFolderError(self.path, reason)

    def _read_image(self, file_number: int) -> np.ndarray:
        """(h, w, 3) uint8 RGB of one file."""
        name = self._filename_tmpl.format(file_number)
        file = os.path.join(self.path, name)
        if not os.path.isfile(file):
            raise self.broken(f"frame file {name!r} does not exist")
        if self._roots is not None:
            check_link(file, self._roots)
        return read_image(file)


def read_image(file: str) -> np.ndarray:
    """The picture in a file, (h, w, 3) uint8 RGB.

    Raises:
        FrameFolderError: it is not there, or not a whole image.
    """
    try:
        image = cv2.imread(file, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise FrameFolderError(file, first_line(error)) from error
    if image is None:
        raise FrameFolderError(file, "not a readable image")
    return np.ascontiguousarray(image[..., ::-1])


def open_frames(
    path: str | os.PathLike,
    filename_tmpl: str = "img_{:05d}.jpg",
    start_index: int = 1,
    total_frames: int | None = None,
    fps: float = 30.0,
    frame_ids: Sequence[int] | None = None,
    roots: Sequence[str] | None = None,
) -> VideoReader:
    """Open a folder of images, one a frame.

    Args:
        filename_tmpl: a format of one integer that gives a file name.
        start_index: number of the first file.
        total_frames: how many files there are; None counts those that fit the template.
        fps: frames, or with ``frame_ids`` ids, per second.
        frame_ids: the ids that exist, ascending, where not every one does; the file
            number is the id plus ``start_index``.
        roots: folders to which a file that is a link may lead; None: anywhere.

    Raises:
        FrameFolderError: the folder is missing or holds no frame.
    """
    folder = os.path.abspath(os.fspath(path))
    if not os.path.isdir(folder):
        raise FrameFolderError(folder, "the frame folder does not exist")
    example = _example_name(filename_tmpl, start_index)
    if fps <= 0:
        raise InputError(f"fps: got {fps}; expected a positive number")
    if frame_ids is not None:
        ids = np.asarray(frame_ids, dtype=np.int64)
        if ids.ndim != 1 or np.any(np.diff(ids) <= 0):
            raise InputError("frame_ids: expected ascending integers without repeats")
    else:
        if total_frames is None:
            total_frames = _count_files(folder, filename_tmpl, start_index)
        ids = np.arange(total_frames)
    if len(ids) == 0:
        reason = f"the folder has 0 frames; expected {example!r} and so on"
        raise FrameFolderError(folder, reason)
    # with gaps, a file is shown from half way to its neighbour: the nearest is taken
    step = float(np.median(np.diff(ids))) if len(ids) > 1 else 1.0
    middles = np.r_[ids[0], (ids[:-1] + ids[1:] + 1) / 2] if step > 1 else ids
    return FrameFolderReader(
        folder, filename_tmpl, ids + start_index, middles / fps, step / fps, roots
    )


def _example_name(filename_tmpl: str, start_index: int) -> str:
    """The first file's name; refuses a template that leaves the folder."""
    try:
        name = filename_tmpl.format(start_index)
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise InputError(
            f"filename_tmpl: got {filename_tmpl!r}; expected a format of one integer,"
            " as 'img_{:05d}.jpg'"
        ) from error
    if os.path.basename(name) != name or name in ("", ".", ".."):
        raise InputError(f"filename_tmpl: {filename_tmpl!r} must give a bare file name")
    return name


def _count_files(folder: str, filename_tmpl: str, start_index: int) -> int:
    """Consecutive files from ``start_index`` on."""
    names = set(os.listdir(folder))
    numbers = itertools.count(start_index)
    return (
        next(n for n in numbers if filename_tmpl.format(n) not in names) - start_index
    )
