"""The box cache: one npz per video with the boxes of hands and objects.

Arrays: ``boxes`` (t, o, 4) float32, x1 y1 x2 y2 in fractions of the picture (0..1),
``valid`` (t, o) bool, ``frame_id`` (t,) int64, strictly rising, ``fps``: frame f shows
from f / fps to (f + 1) / fps seconds, ``sequence``: the ``group`` of the records that
may use the file, and ``names`` (o,): what each place holds. Places are kept over time:
a hand that is not seen has ``valid`` False and zeros.

``tools/data/ek100/boxes.py`` makes it from published detections, or from a csv file.
"""

import io
from pathlib import Path

import numpy as np

from mmfusion.layouts.box_arrays import BoxFile, check_boxes
from mmfusion.utils.errors import BoxError
from mmfusion.utils.npz_file import read_npz, read_remembered
from mmfusion.utils.paths import write_atomic

MAX_BYTES = 2**30  # of one file, unpacked


def write_box_cache(path: Path, content: BoxFile) -> None:
    """Write a cache so that it is whole or not there.

    Raises:
        BoxError: it would not be readable.
    """
    found = check_boxes(str(path), vars(content))
    buffer = io.BytesIO()
    np.savez(
        buffer,
        boxes=found.boxes,
        valid=found.valid,
        frame_id=found.frame_id,
        fps=np.float64(found.fps),
        sequence=np.str_(found.sequence),
        names=np.array(found.names),
    )
    write_atomic(path, buffer.getvalue())


def load_box_file(path: str) -> BoxFile:
    """Read and check the npz of one video, or remember it.

    Raises:
        BoxError: missing, not an npz, or not what it should hold.
    """
    return read_remembered(path, _parse, error=BoxError)


def _parse(path: str) -> BoxFile:
    return check_boxes(path, read_npz(path, max_bytes=MAX_BYTES, error=BoxError))


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
