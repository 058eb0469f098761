"""The box cache: one npz per video with the boxes of hands and objects.

Arrays: ``boxes`` (t, o, 4) float32, x1 y1 x2 y2 in fractions of the picture (0..1),
``valid`` (t, o) bool, ``frame_id`` (t,) int64, strictly rising, ``fps``: frame f shows
from f / fps to (f + 1) / fps seconds, ``sequence``: the ``group`` of the records that
may use the file, and ``names`` (o,): what each place holds. Places are kept over time:
a hand that is not seen has ``valid`` False and zeros.

``tools/data/ek100/boxes.py`` makes it from published detections, or from a csv file.
"""

import io
import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from mmfusion.datasets.caches.npz_file import read_npz
from mmfusion.layouts.hand_object_boxes import BoxFile
from mmfusion.utils.errors import BoxError
from mmfusion.utils.paths import write_atomic

MAX_BYTES = 2**30  # of one file, unpacked
_KEYS = ("boxes", "valid", "frame_id", "fps", "sequence", "names")


def write_box_cache(path: Path, content: BoxFile) -> None:
    """Write a cache so that it is whole or not there.

    Raises:
        BoxError: it would not be readable.
    """
    _check(str(path), content)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        boxes=content.boxes.astype(np.float32),
        valid=content.valid.astype(bool),
        frame_id=content.frame_id.astype(np.int64),
        fps=np.float64(content.fps),
        sequence=np.str_(content.sequence),
        names=np.array(content.names),
    )
    write_atomic(path, buffer.getvalue())


def load_box_file(path: str) -> BoxFile:
    """Read and check the npz of one video; the last 64 are remembered.

    Raises:
        BoxError: missing, not an npz, or not what it should hold.
    """
    try:
        stat = os.stat(path)
    except OSError as error:
        raise BoxError(path, "the file does not exist") from error
    return _load(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _load(path: str, mtime_ns: int, num_bytes: int) -> BoxFile:
    """A changed file has another ``mtime_ns`` or ``num_bytes`` and is read anew."""
    arrays = read_npz(path, max_bytes=MAX_BYTES, error_type=BoxError)
    lacking = [key for key in _KEYS if key not in arrays]
    if lacking:
        raise BoxError(path, f"it lacks {lacking}; it holds {sorted(arrays)}")
    if arrays["boxes"].dtype.kind not in "fiu" or arrays["fps"].dtype.kind not in "fiu":
        raise BoxError(path, "boxes and fps must be numbers")
    content = BoxFile(
        boxes=arrays["boxes"].astype(np.float32),
        valid=arrays["valid"].astype(bool),
        frame_id=arrays["frame_id"],
        fps=float(arrays["fps"]) if arrays["fps"].ndim == 0 else -1.0,
        sequence=str(arrays["sequence"]),
        names=tuple(str(name) for name in np.atleast_1d(arrays["names"])),
    )
    _check(path, content)
    for array in (content.boxes, content.valid, content.frame_id):
        array.flags.writeable = False  # shared by every clip of the video
    return content


def _check(path: str, content: BoxFile) -> None:
    boxes, valid, frame_id = content.boxes, content.valid, content.frame_id
    if boxes.ndim != 3 or boxes.shape[-1] != 4 or not len(boxes):
        raise BoxError(path, f"boxes has shape {boxes.shape}; expected (t, o, 4)")
    num, places = boxes.shape[:2]
    if valid.shape != (num, places) or len(content.names) != places:
        reason = (
            f"valid has shape {valid.shape} and there are {len(content.names)} names;"
            f" expected {(num, places)} and {places}"
        )
        raise BoxError(path, reason)
    whole = frame_id.shape == (num,) and frame_id.dtype.kind in "iu"
    if not whole or (np.diff(frame_id) <= 0).any():
        raise BoxError(path, f"frame_id must be {num} ascending frame numbers")
    if not 0 < content.fps < 1e5:
        raise BoxError(path, f"fps is {content.fps}; expected a positive number")
    seen = boxes[valid]  # (n, 4)
    sound = (seen >= -1e-4) & (seen <= 1 + 1e-4)  # NaN is not sound
    if not sound.all() or (seen[:, 2:] < seen[:, :2]).any():
        reason = (
            "a box is not x1 <= x2, y1 <= y2 within 0..1; expected fractions of the"
            " picture, not pixels, or valid False"
        )
        raise BoxError(path, reason)


def take_boxes(
    content: BoxFile, seconds: np.ndarray, max_age: float
) -> tuple[np.ndarray, np.ndarray]:
    """The boxes at ``seconds`` (n,), of the frame shown then or the last one before.

    Never of a later frame: what is to be anticipated stays unseen. Boxes of a frame
    that was shown longer than ``max_age`` seconds ago are not valid.

    Returns:
        boxes (n, o, 4) float32, zeros where not valid, and valid (n, o).
    """
    begins = content.frame_id / content.fps
    shown = np.searchsorted(begins, seconds + 1e-6, side="right") - 1  # (n,)
    age = seconds - begins[np.maximum(shown, 0)] - 1 / content.fps
    fresh = (shown >= 0) & (age <= max_age)
    shown = np.maximum(shown, 0)
    valid = content.valid[shown] & fresh[:, None]
    return np.where(valid[..., None], content.boxes[shown], 0), valid
