"""The skeleton cache: one npz per sequence, so that a clip is a slice of one array.

H2O keeps a text file per frame, 114,329 of them; its caches are read in milliseconds.
Arrays of a cache: ``keypoint`` (t, h, j, 3) float32, ``valid`` (t, h) or (t, h, j)
bool, ``frame_id`` (t,) int64, strictly rising, in the annotation's ``index_fps``
numbering, ``fps`` that rate, and ``sequence`` the ``group`` of the records that may use
the file. What they may hold, ``layouts/skeleton_arrays.py`` says.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.layouts.skeleton_arrays import (
    ANY_KIND,
    SkeletonFile,
    SkeletonKind,
    check_skeleton,
)
from mmfusion.utils.errors import SkeletonError
from mmfusion.utils.npz_file import read_npz, read_remembered
from mmfusion.utils.paths import write_atomic

MAX_BYTES = 2 * 2**30  # of one file, unpacked


def write_skeleton_cache(
    path: Path,
    *,
    keypoint: np.ndarray,
    valid: np.ndarray,
    frame_id: np.ndarray,
    fps: float,
    sequence: str,
    score: np.ndarray | None = None,
    kind: SkeletonKind = ANY_KIND,
) -> None:
    """Write a cache so that it is whole or not there.

    Args:
        path: the file to write; its folder is made.
        keypoint, valid, frame_id, fps, sequence: see the module; joints are zeros
            where a hand is not valid.
        score: (t, h) 0 to 1, how sure the finder of the hands was; kept in the file for
            whoever wants it, no model reads it.
        kind: what they must fit, of the annotation's ``metainfo.skeleton``.

    Raises:
        SkeletonError: it would not be readable.
    """
    given = dict(keypoint=keypoint, valid=valid, frame_id=frame_id)
    arrays: dict[str, Any] = {**given, "fps": fps, "sequence": sequence}
    found = check_skeleton(sequence, arrays, kind)
    extra: dict[str, Any] = {}
    if score is not None:
        extra["score"] = np.asarray(score, np.float32)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        keypoint=found.keypoint,
        valid=found.valid,
        frame_id=found.frame_id,
        fps=np.float64(fps),
        sequence=np.str_(sequence),
        **extra,
    )
    write_atomic(str(path), buffer.getvalue())


def read_valid(
    path: Path,
    sequence: str,
    frame_id: np.ndarray | None = None,
    kind: SkeletonKind = ANY_KIND,
) -> np.ndarray | None:
    """The mask of a complete cache; None means that it must be written (again).

    Args:
        path: the cache.
        sequence: whose it must be.
        frame_id: (t,) frames that it must hold; None for any.
        kind: what it must fit.

    Returns:
        (t, h) or (t, h, j) bool.
    """
    try:
        found = load_skeleton_file(str(path), kind)
    except SkeletonError:
        return None
    fits = frame_id is None or np.array_equal(found.frame_id, frame_id)
    return found.valid if fits and found.sequence == sequence else None


def load_skeleton_file(path: str, kind: SkeletonKind = ANY_KIND) -> SkeletonFile:
    """Read and check the npz of one sequence, or remember it.

    Args:
        path: the cache.
        kind: what it must fit, of the annotation's ``metainfo.skeleton``.

    Raises:
        SkeletonError: missing, not an npz, or not what it should hold.
    """
    return read_remembered(path, _parse, kind, error=SkeletonError)


def _parse(path: str, kind: SkeletonKind) -> SkeletonFile:
    arrays = read_npz(path, max_bytes=MAX_BYTES, error=SkeletonError)
    return check_skeleton(path, arrays, kind)
