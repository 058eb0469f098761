"""The box cache: one npz per video with the boxes of hands and objects.

Arrays: ``boxes`` (t, o, 4) float32, x1 y1 x2 y2 in fractions of the picture (0..1),
``valid`` (t, o) bool, ``frame_id`` (t,) int64, strictly rising, ``fps``: frame f shows
from f / fps to (f + 1) / fps seconds, ``sequence``: the ``group`` of the records that
may use the file, and ``names`` (o,): what each place holds. Places are kept over time:
a hand that is not seen has ``valid`` False and zeros.

``tools/data/ek100/boxes.py`` makes it from published detections, or from a csv file.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.layouts.frame_arrays import (
    as_fps,
    as_frame_ids,
    as_mask,
    as_name,
    as_names,
    as_numbers,
)
from mmfusion.layouts.hand_object_boxes import BoxFile
from mmfusion.utils.errors import BoxError, InputError
from mmfusion.utils.npz_file import read_npz, read_remembered
from mmfusion.utils.paths import write_atomic

MAX_BYTES = 2**30  # of one file, unpacked
_KEYS = ("boxes", "valid", "frame_id", "fps", "sequence", "names")


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


def check_boxes(name: str, arrays: Mapping[str, Any]) -> BoxFile:
    """Check the arrays of a video. A box whose numbers are all 0 is not seen.

    Raises:
        BoxError: names the file, the array, what came and what was expected.
    """
    try:
        return _checked(arrays)
    except InputError as error:
        raise BoxError(name, str(error)) from None


def _checked(arrays: Mapping[str, Any]) -> BoxFile:
    lacking = [key for key in _KEYS if key not in arrays]
    if lacking:
        raise InputError(f"it lacks {lacking}; it holds {sorted(arrays)}")
    boxes = as_numbers(arrays["boxes"], "boxes")
    if boxes.ndim != 3 or boxes.shape[-1] != 4 or 0 in boxes.shape:
        raise InputError(f"boxes has shape {boxes.shape}; expected (t, o, 4)")
    valid = as_mask(arrays["valid"], "valid", boxes.shape[:2]) & (boxes != 0).any(-1)
    names = as_names(arrays["names"], "names")
    if len(names) != boxes.shape[1] or len(set(names)) < len(names):
        raise InputError(f"names are {names}; expected {boxes.shape[1]} different ones")
    seen = boxes[valid]  # (n, 4)
    sound = (seen >= -1e-4) & (seen <= 1 + 1e-4)  # NaN is not sound
    if not sound.all() or (seen[:, 2:] < seen[:, :2]).any():
        raise InputError(
            "a box is not x1 <= x2, y1 <= y2 within 0..1; expected fractions of the"
            " picture, not pixels, or valid False"
        )
    boxes = np.where(valid[..., None], boxes, 0).astype(np.float32)
    frame_id = as_frame_ids(arrays["frame_id"], len(boxes))
    for array in (boxes, valid, frame_id):
        array.flags.writeable = False  # shared by every clip of the video
    return BoxFile(
        boxes=boxes,
        valid=valid,
        frame_id=frame_id,
        fps=as_fps(arrays["fps"]),
        sequence=as_name(arrays["sequence"], "sequence"),
        names=tuple(names),
    )


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
