"""The skeleton cache: one npz per sequence, so that a clip is a slice of one array.

H2O keeps a text file per frame, 114,329 of them; its caches are read in milliseconds.
Arrays of a cache: ``keypoint`` (t, h, j, 3) float32, ``valid`` (t, h) bool,
``frame_id`` (t,) int64, strictly rising, in the annotation's ``index_fps`` numbering,
``fps`` that rate, and ``sequence`` the ``group`` of the records that may use the file.
"""

import io
import zipfile
from pathlib import Path

import numpy as np

from mmfusion.utils.errors import InputError
from mmfusion.utils.paths import write_atomic

KEYS = ("keypoint", "valid", "frame_id", "fps", "sequence")


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
        keypoint: (t, h, j, 3); zeros where a hand is not valid.
        valid: (t, h), True where the hand is annotated.
        frame_id: (t,) strictly rising.
        fps: frames a second of ``frame_id``.
        sequence: the records' ``group``.

    Raises:
        ValueError: the arrays do not fit together, or a valid joint is not finite.
    """
    _check_arrays(keypoint, valid, frame_id, sequence)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        keypoint=keypoint.astype(np.float32),
        valid=valid.astype(bool),
        frame_id=frame_id.astype(np.int64),
        fps=np.float64(fps),
        sequence=np.str_(sequence),
    )
    write_atomic(str(path), buffer.getvalue())


def _check_arrays(
    keypoint: np.ndarray, valid: np.ndarray, frame_id: np.ndarray, sequence: str
) -> None:
    if keypoint.ndim != 4 or keypoint.shape[-1] != 3 or not len(keypoint):
        raise InputError(
            f"{sequence}: keypoint is {keypoint.shape}, expected (t, h, j, 3), t > 0"
        )
    if valid.shape != keypoint.shape[:2] or frame_id.shape != keypoint.shape[:1]:
        raise InputError(
            f"{sequence}: valid is {valid.shape} and frame_id {frame_id.shape},"
            f" expected {keypoint.shape[:2]} and {keypoint.shape[:1]}"
        )
    if (np.diff(frame_id) <= 0).any():
        raise InputError(f"{sequence}: frame_id does not rise at every step")
    if not np.isfinite(keypoint[valid.astype(bool)]).all():
        raise InputError(f"{sequence}: a joint of a valid hand is not finite")


def read_valid(
    path: Path, sequence: str, frame_id: np.ndarray | None = None
) -> np.ndarray | None:
    """The mask (t, h) of a complete cache; None means that it must be written (again).

    Args:
        path: the cache.
        sequence: whose it must be.
        frame_id: (t,) frames that it must hold; None for any.
    """
    if not path.is_file():
        return None
    try:
        # np.load leaves a file that it opened itself open where it fails
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if set(KEYS) - set(file.files) or str(file["sequence"]) != sequence:
                return None
            found = file["frame_id"]
            fits = frame_id is None or np.array_equal(found, frame_id)
            whole = len(file["keypoint"]) == len(found)
            return file["valid"] if fits and whole else None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError):
        return None
