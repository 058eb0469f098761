"""Sources of frames while the clock runs: a camera, a file, a folder, hands.

A source is an iterator that runs in a thread of its own. It gives a frame as soon as
that is there, and ends when there will be none; ``stop`` makes it end.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import cv2
import numpy as np

from mmfusion.datasets.caches.skeleton_cache import load_skeleton_file
from mmfusion.datasets.media.frame_folder import read_image
from mmfusion.datasets.media.video_io import open_video
from mmfusion.layouts.skeleton_arrays import SkeletonKind
from mmfusion.utils.errors import FrameFolderError, InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
_LOOK = 0.02  # seconds from one look into a folder to the next
_TAIL = 1024  # bytes in which a JPEG ends; cameras pad them
_WRITING = 1.0  # seconds that a file may take to be written


@dataclass(frozen=True)
class Arrival:
    """A frame of a stream.

    Attributes:
        stream: ``video`` or ``skeleton``.
        time: seconds on the clock of all streams, when it was taken.
        due: :func:`time.monotonic` at which it was there, or should have been.
        data: as ``StreamingRecognizer.push`` takes it.
    """

    stream: str
    time: float
    due: float
    data: Any


class LiveSource(Protocol):
    """Frames of one stream, one after the other."""

    def arrivals(self, start: float, stop: Event) -> Iterator[Arrival]:
        """Give each frame when it is there.

        Args:
            start: :func:`time.monotonic` at which the clock of all streams shows 0.
            stop: set when no more frames are wanted.
        """


class Camera:
    """Frames of a camera, each at the time at which it could be read.

    Args:
        device: number of the camera; or a file, which stands for one and is read as
            fast as it can be.

    Raises:
        InputError: there is no such camera, or another program has it.
    """

    def __init__(self, device: int | str) -> None:
        self.name = f"camera {device}" if isinstance(device, int) else device
        log = cv2.utils.logging  # it would print a line a driver
        level = log.setLogLevel(log.LOG_LEVEL_SILENT)
        try:
            self._capture = cv2.VideoCapture(device)
        except cv2.error:  # a number that is too large for it
            self._capture = cv2.VideoCapture()
        finally:
            log.setLogLevel(level)
        if not self._capture.isOpened():
            raise InputError(
                f"{self.name} cannot be opened; expected a camera that is plugged in"
                f" (Linux: /dev/video{device}), that no other program uses and that"
                " you may read; or a file or a folder"
            )

    def arrivals(self, start: float, stop: Event) -> Iterator[Arrival]:
        """Frames until the camera gives none any more."""
        try:
            while not stop.is_set():
                is_read, picture = self._capture.read()  # waits for the next one
                if not is_read:
                    return
                now = time.monotonic()
                frame = np.ascontiguousarray(picture[..., ::-1])
                yield Arrival("video", now - start, now, frame)
        finally:
            self._capture.release()


class PlayedVideo:
    """A video file at its own rate: each frame when it would be seen.

    Raises:
        MediaError: the file cannot be read.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = str(path)
        self._video = open_video(self.path)
        self.fps = self._video.fps

    def arrivals(self, start: float, stop: Event) -> Iterator[Arrival]:
        """Every frame, not before its time; its time is that in the file."""
        frames = self._video.stream()
        for seconds, frame in zip(self._video.times.tolist(), frames, strict=False):
            if stop.wait(max(0.0, start + seconds - time.monotonic())):
                return
            yield Arrival("video", seconds, start + seconds, frame)


class PlayedHands:
    """Hands out of a file, each frame when it would be seen.

    Args:
        path: ``.npz``, as the training data have them.
        kind: what the model reads.
        fps: frame numbers a second, where the file does not say it.

    Raises:
        SkeletonError: the file cannot be read, or has other hands.
    """

    def __init__(
        self, path: str | os.PathLike, kind: SkeletonKind, fps: float = 30.0
    ) -> None:
        self._data = load_skeleton_file(str(path), kind)
        rate = self._data.fps or fps
        self._times = (self._data.frame_id + 0.5) / rate  # frame f is [f, f + 1)

    def arrivals(self, start: float, stop: Event) -> Iterator[Arrival]:
        """Joints and mask of every frame, not before its time."""
        rows = zip(self._data.keypoint, self._data.valid, strict=True)
        for seconds, row in zip(self._times.tolist(), rows, strict=True):
            if stop.wait(max(0.0, start + seconds - time.monotonic())):
                return
            yield Arrival("skeleton", seconds, start + seconds, row)


class FillingFolder:
    """Images that another program puts into a folder, one a frame.

    A frame's time is that of its file's last change, on the clock of all streams; one
    in the future, of a clock that is ahead, is that of the look at it. Files that are
    there already are passed over, and a name is read once, whatever is written into it
    later. A file that is not whole yet is looked at again for a second; then it is
    counted in ``broken``.

    Args:
        folder: where they appear; their names may be any, the order is that of time.
        idle: seconds without a new file after which the source ends; None: never.

    Raises:
        InputError: there is no such folder.
    """

    def __init__(self, folder: str | os.PathLike, idle: float | None = None) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise InputError(f"{self.folder} is no folder; expected one that fills")
        self.idle = idle
        self.broken = 0
        self._seen = {name for _, name in self._files()}

    def arrivals(self, start: float, stop: Event) -> Iterator[Arrival]:
        """New files, by the time of their last change.

        Raises:
            InputError: the folder is there no more.
        """
        offset = time.time() - time.monotonic()  # of the files' clock to ours
        last = time.monotonic()
        while not stop.is_set():
            files = self._files()
            self._seen &= {name for _, name in files}  # else it would grow for ever
            for changed, name in files:
                if name in self._seen or stop.is_set():
                    continue
                changed = min(changed, time.time())
                frame = self._read(name, time.time() - changed)
                if frame is None:
                    continue
                self._seen.add(name)
                last, due = time.monotonic(), changed - offset
                yield Arrival("video", due - start, due, frame)
            if self.idle is not None and time.monotonic() - last > self.idle:
                return
            stop.wait(_LOOK)

    def _files(self) -> list[tuple[float, str]]:
        """Time of the last change and name of each image, in that order."""
        found = []
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if entry.name.lower().endswith(IMAGE_SUFFIXES):
                        with contextlib.suppress(OSError):  # taken away since
                            found.append((entry.stat().st_mtime, entry.name))
        except OSError as error:
            raise InputError(
                f"{self.folder} cannot be looked into any more: {error.strerror}"
            ) from error
        return sorted(found)

    def _read(self, name: str, age: float) -> np.ndarray | None:
        path = self.folder / name
        try:
            if not _has_end(path):
                raise FrameFolderError(str(path), "it is still being written")
            return read_image(str(path))
        except (FrameFolderError, OSError):
            if age > _WRITING:
                self.broken += 1
                self._seen.add(name)
            return None


def _has_end(path: Path) -> bool:
    """False for a JPEG without its last marker, which OpenCV reads all the same."""
    with path.open("rb") as file:
        if file.read(2) != b"\xff\xd8":
            return True
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        return b"\xff\xd9" in file.read(_TAIL)


def open_source(name: str, idle: float | None = None) -> LiveSource:
    """A camera by its number, a video, or a folder.

    Args:
        name: ``0``, ``1``...; the path of a file, or of a folder that fills.
        idle: seconds after which a folder that fills no more ends.

    Raises:
        InputError: it is none of these. MediaError: the file is no video.
    """
    if name.isascii() and name.isdigit() and not Path(name).exists():
        return Camera(int(name))
    if Path(name).is_dir():
        return FillingFolder(name, idle)
    if not Path(name).is_file():
        raise InputError(
            f"{name!r} is neither a camera's number, nor a file, nor a folder"
        )
    return PlayedVideo(name)
