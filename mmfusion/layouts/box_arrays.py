"""One rule for boxes of hands and objects, whatever file they are from."""

from collections.abc import Mapping
from dataclasses import dataclass
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
from mmfusion.utils.errors import BoxError, InputError

_KEYS = ("boxes", "valid", "frame_id", "fps", "sequence", "names")


@dataclass(frozen=True)
class BoxFile:
    """The boxes of one video.

    Attributes:
        boxes: (t, o, 4) float32, x1 y1 x2 y2 in 0..1; zeros where not valid.
        valid: (t, o) bool.
        frame_id: (t,) int64, rising; frame f shows from f / fps seconds on.
        fps: frames a second of ``frame_id``.
        sequence: the video.
        names: (o,) of the places.
    """

    boxes: np.ndarray
    valid: np.ndarray
    frame_id: np.ndarray
    fps: float
    sequence: str
    names: tuple[str, ...]


def check_boxes(name: str, arrays: Mapping[str, Any]) -> BoxFile:
    """Check the arrays of a video. A box whose numbers are all 0 is not seen.

    Raises:
        BoxError: names the file, the array, what came and what was expected.
    """
    try:
        return checked_boxes(arrays)
    except InputError as error:
        raise BoxError(name, str(error)) from None


def checked_boxes(arrays: Mapping[str, Any]) -> BoxFile:
    """As :func:`check_boxes`; an InputError that names no file."""
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
