"""The indices of videos, remembered; those of long files on the disk, too.

An index is made of all of a video's packets: every byte of the file is read, of a long
film more often than its clips if it were not kept. In memory lie those used last, up to
a number of bytes. Indices of long files lie in ``video_indices`` of the folder that
``$MMFUSION_CACHE`` names (else ``~/.cache/mmfusion``), where runs and their processes
share them; they may be deleted at any time.
"""

import io
import json
import os
import threading
from collections import OrderedDict
from fractions import Fraction
from typing import Any

import av
import numpy as np

from mmfusion.datasets.media.display import Display
from mmfusion.datasets.media.kept_files import KeptFiles, kept_name
from mmfusion.datasets.media.video_index import (
    MAX_FRAMES,
    VideoIndex,
    local_path,
    make_index,
)
from mmfusion.ops.cpu.build import cache_folder
from mmfusion.utils.errors import MMFusionError, VideoDecodeError
from mmfusion.utils.npz_file import read_npz
from mmfusion.utils.text_files import decode_json

MOST_MEMORY = 2**27  # bytes of the indices in memory: 31 hours at 50 frames a second
FOLDER = "video_indices"
MOST_BYTES = 2**30  # of the folder
LONG_BYTES, LONG_FRAMES = 2**25, 10_000  # a file with either takes over 50 ms
_ITSELF = 2048  # bytes of an index beside its arrays
_ARRAYS = ("times", "pts", "positions", "keyframes")
_FORMAT = 1  # of the files
_kept = KeptFiles("indices of long videos are not kept, so each run reads them anew")


class _Memory:
    """Indices by path and state of the file; those not used for longest go first."""

    def __init__(self) -> None:
        self._indices: OrderedDict[tuple[str, int, int], VideoIndex] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int, int]) -> VideoIndex | None:
        with self._lock:
            if key in self._indices:
                self._indices.move_to_end(key)
            return self._indices.get(key)

    def put(self, key: tuple[str, int, int], index: VideoIndex) -> None:
        with self._lock:
            if key in self._indices:  # by another thread
                return
            self._indices[key] = index
            self._bytes += _size(index)
            while self._bytes > MOST_MEMORY and len(self._indices) > 1:
                self._bytes -= _size(self._indices.popitem(last=False)[1])

    def clear(self) -> None:
        with self._lock:
            self._indices.clear()
            self._bytes = 0


memory = _Memory()


def read_index(path: str | os.PathLike) -> VideoIndex:
    """The index of a local video; a changed file is read anew.

    Raises:
        VideoDecodeError: not a video, no frames, or a size beyond the caps.
    """
    real = local_path(path)
    stat = os.stat(real)
    key = real, stat.st_mtime_ns, stat.st_size
    index = memory.get(key)
    if index is None:
        index = _read_kept(real, stat.st_size)
        memory.put(key, index)
    return index


def _size(index: VideoIndex) -> int:
    arrays = (getattr(index, name) for name in _ARRAYS)
    return _ITSELF + sum(array.nbytes for array in arrays if array is not None)


def _read_kept(path: str, num_bytes: int) -> VideoIndex:
    """The index from the disk; else made, and kept there where it took long."""
    try:
        name = kept_name(path, f"{_FORMAT} av {av.__version__}")
        file = str(cache_folder() / FOLDER / f"{name}.npz")
    except (OSError, RuntimeError):  # the video was deleted meanwhile; no home
        return make_index(path)
    if os.path.isfile(file):
        try:
            return _load(file, path)
        except (MMFusionError, KeyError, TypeError, ValueError) as error:
            _kept.tell(f"the index of {path} is made anew: {error}")
    index = make_index(path)
    is_long = num_bytes >= LONG_BYTES or len(index.times) >= LONG_FRAMES
    if is_long and _kept.has_room(os.path.dirname(file), MOST_BYTES):
        _kept.write(file, _encoded(index))
    return index


def _encoded(index: VideoIndex) -> bytes:
    """An npz of the arrays, and of all else as JSON in an array of bytes."""
    found = {name: getattr(index, name) for name in _ARRAYS}
    arrays = {name: array for name, array in found.items() if array is not None}
    display = index.display
    rest = dict(
        stream=index.stream,
        duration=index.duration,
        closed=index.closed,
        stamped=index.stamped,
        coded_size=index.coded_size,
        reorder_depth=index.reorder_depth,
        nal_length_size=index.nal_length_size,
        crop=display.crop,
        aspect=[display.aspect.numerator, display.aspect.denominator],
        transposed=display.transposed,
        flips=display.flips,
    )
    rest_of = np.frombuffer(json.dumps(rest).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, rest=rest_of, **arrays)
    return buffer.getvalue()


def _load(file: str, path: str) -> VideoIndex:
    """The index of the video at ``path``; its npz has a checksum of each array."""
    arrays: dict[str, Any] = read_npz(
        file, max_bytes=64 * MAX_FRAMES, error=_unreadable
    )
    rest: dict[str, Any] = decode_json(arrays.pop("rest").tobytes())
    display = Display(
        tuple(rest.pop("crop")),
        Fraction(*rest.pop("aspect")),
        rest.pop("transposed"),
        tuple(rest.pop("flips")),
    )
    rest["coded_size"] = tuple(rest["coded_size"])
    pts = arrays.pop("pts", None)
    return VideoIndex(path=path, pts=pts, display=display, **arrays, **rest)


def _unreadable(path: str, reason: str) -> MMFusionError:
    return VideoDecodeError(path, "its index", reason)
