"""The skeleton cache: one npz per sequence, so that a clip is a slice of one array.

H2O keeps a text file per frame, 114,329 of them; its caches are read in milliseconds.
Arrays of a cache: ``keypoint`` (t, h, j, 3) float32, ``valid`` (t, h) bool,
``frame_id`` (t,) int64, strictly rising, in the annotation's ``index_fps`` numbering,
``fps`` that rate, and ``sequence`` the ``group`` of the records that may use the file.
"""

import io
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.datasets.caches.npz_file import read_npz
from mmfusion.utils.errors import SkeletonError
from mmfusion.utils.paths import write_atomic

MAX_BYTES = 2 * 2**30  # of one file, unpacked
MAX_COORDINATE = 1e6  # metres, millimetres or pixels, nothing is further away


@dataclass(frozen=True)
class SkeletonFile:
    """The arrays of one sequence.

    Attributes:
        keypoint: (t, h, j, 3) float32, 0 where not valid.
        valid: (t, h) or (t, h, j) bool.
        frame_id: (t,) int64, ascending, frame numbers at ``index_fps``.
        fps: frame numbers per second where the record says nothing else.
        sequence: name of the sequence, or None.
    """

    keypoint: np.ndarray
    valid: np.ndarray
    frame_id: np.ndarray
    fps: float
    sequence: str | None


def write_skeleton_cache(
    path: Path,
    *,
    keypoint: np.ndarray,
    valid: np.ndarray,
    frame_id: np.ndarray,
    fps: float,
    sequence: str,
) -> None:
    """Write a cache so that it is whole or not there.

    Args:
        path: the file to write; its folder is made.
        keypoint, valid, frame_id, fps, sequence: see the module; joints are zeros
            where a hand is not valid.

    Raises:
        SkeletonError: it would not be readable.
    """
    arrays: dict[str, Any] = {
        "keypoint": keypoint.astype(np.float32),
        "valid": valid.astype(bool),
        "frame_id": frame_id.astype(np.int64),
        "fps": np.float64(fps),
        "sequence": np.str_(sequence),
    }
    check_skeleton(sequence, arrays)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomic(str(path), buffer.getvalue())


def read_valid(
    path: Path, sequence: str, frame_id: np.ndarray | None = None
) -> np.ndarray | None:
    """The mask (t, h) of a complete cache; None means that it must be written (again).

    Args:
        path: the cache.
        sequence: whose it must be.
        frame_id: (t,) frames that it must hold; None for any.
    """
    try:
        found = load_skeleton_file(str(path))
    except SkeletonError:
        return None
    fits = frame_id is None or np.array_equal(found.frame_id, frame_id)
    return found.valid if fits and found.sequence == sequence else None


def load_skeleton_file(path: str) -> SkeletonFile:
    """Read and check the npz of one sequence; the last 64 are remembered.

    Raises:
        SkeletonError: missing, not an npz, or not what it should hold.
    """
    try:
        stat = os.stat(path)
    except OSError as error:
        raise SkeletonError(path, "the file does not exist") from error
    return _load_file(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _load_file(path: str, mtime_ns: int, num_bytes: int) -> SkeletonFile:
    """A changed file has another ``mtime_ns`` or ``num_bytes`` and is read anew."""
    arrays = read_npz(path, max_bytes=MAX_BYTES, error_type=SkeletonError)
    return check_skeleton(path, arrays)


def check_skeleton(name: str, arrays: dict) -> SkeletonFile:
    """Check the arrays of a sequence; only ``keypoint`` is required."""
    if "keypoint" not in arrays:
        raise SkeletonError(name, f"it holds {sorted(arrays)}; expected 'keypoint'")
    keypoint = np.asarray(arrays["keypoint"])
    if keypoint.dtype.kind not in "fiu":
        raise SkeletonError(name, f"keypoint is {keypoint.dtype}; expected numbers")
    if keypoint.ndim != 4 or keypoint.shape[-1] != 3:
        reason = (
            f"keypoint has shape {keypoint.shape}; expected (t, h, j, 3): frames,"
            " hands, joints (21 in a hand, 63 numbers), x y z"
        )
        raise SkeletonError(name, reason)
    num = len(keypoint)
    if num == 0:
        raise SkeletonError(name, "it holds 0 frames")
    valid = np.asarray(arrays.get("valid", np.ones(keypoint.shape[:2], bool)))
    if valid.shape not in (keypoint.shape[:2], keypoint.shape[:3]):
        reason = f"valid has shape {valid.shape}; expected {keypoint.shape[:2]}"
        raise SkeletonError(name, reason)
    valid = valid.astype(bool)
    frame_id = np.asarray(arrays.get("frame_id", np.arange(num)))
    if frame_id.shape != (num,) or (np.diff(frame_id) <= 0).any():
        reason = f"frame_id {frame_id.shape} must be {num} ascending frame numbers"
        raise SkeletonError(name, reason)
    fps = float(arrays.get("fps", 30.0))
    if not 0 < fps < 1e5:
        raise SkeletonError(name, f"fps is {fps}; expected a positive number")
    keypoint = _check_numbers(name, keypoint, valid)
    sequence = str(arrays["sequence"]) if "sequence" in arrays else None
    frame_id = frame_id.astype(np.int64)
    for array in (keypoint, valid, frame_id):
        array.flags.writeable = False  # shared by every clip of the sequence
    return SkeletonFile(keypoint, valid, frame_id, fps, sequence)


def _check_numbers(name: str, keypoint: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(t, h, j, 3) float32 with 0 where not valid; what is valid must be sound."""
    mask = valid if valid.ndim == 3 else valid[..., None]  # (t, h, j or 1)
    joints = np.where(mask[..., None], keypoint, 0).astype(np.float32)
    sound = np.isfinite(joints) & (np.abs(joints) < MAX_COORDINATE)
    if not sound.all():
        frame, hand, joint, axis = np.argwhere(~sound)[0].tolist()
        reason = (
            f"row {frame}, hand {hand}, joint {joint}: {'xyz'[axis]} is"
            f" {keypoint[frame, hand, joint, axis]}; expected a finite number below"
            f" {MAX_COORDINATE:g}, or valid False"
        )
        raise SkeletonError(name, reason)
    return joints
