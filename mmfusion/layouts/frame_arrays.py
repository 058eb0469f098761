"""Arrays that every file of frames has: seen or not, frame numbers, their rate, a name.

One check each, for skeletons and boxes, so that no wrong kind is taken as a value: NaN
is not True, descending unsigned numbers do not rise. An InputError says what came and
what was expected; the reader of the file puts the file's name before it.
"""

from typing import Any

import numpy as np

from mmfusion.utils.errors import InputError
from mmfusion.utils.schema import shown

MOST_FPS = 1e5
MOST_FRAMES = 2**31  # frame numbers lie below


def as_numbers(value: Any, name: str) -> np.ndarray:
    """Real numbers as an array of floats of 32 bits or more."""
    try:
        array = np.asarray(value)
    except ValueError as error:  # lists of different lengths
        raise InputError(f"{name} is no array of numbers: {error}") from None
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name} is no array of numbers but {array.dtype}")
    wide = array.dtype.kind == "f" and array.itemsize >= 4
    return array if wide else array.astype(np.float64)


def as_shaped(value: Any, name: str, *shapes: tuple[int, ...]) -> np.ndarray:
    """Real numbers in one of the shapes, as an array of the first of them."""
    array = as_numbers(value, name)
    if array.shape not in shapes:
        expected = " or ".join(str(shape) for shape in shapes)
        raise InputError(f"{name} has the shape {array.shape}; expected {expected}")
    return array.reshape(shapes[0])


def as_mask(value: Any, name: str, *shapes: tuple[int, ...]) -> np.ndarray:
    """True and False, or 1 and 0, in one of the shapes, as bool."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} is no array: {error}") from None
    if array.shape not in shapes:
        expected = " or ".join(str(shape) for shape in shapes)
        raise InputError(f"{name} has shape {array.shape}; expected {expected}")
    if array.dtype.kind == "b":
        return array
    flags = array.dtype.kind in "fiu" and np.isin(array, (0, 1))
    if not np.all(flags):
        one = array.dtype if flags is False else array[~flags].tolist()[0]
        raise InputError(f"{name} holds {shown(one)}; expected True and False, or 1, 0")
    return array == 1


def as_integers(value: Any, name: str, count: int | None = None) -> np.ndarray:
    """Whole numbers (n,) in 0..2147483647, as int64; ``count`` of them."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} is no array: {error}") from None
    wrong_length = count is not None and array.shape != (count,)
    if array.ndim != 1 or wrong_length or array.dtype.kind not in "iu":
        raise InputError(
            f"{name} is {array.dtype} {array.shape}; expected"
            f" ({'n' if count is None else count},) integers"
        )
    outside = (array < 0) | (array >= MOST_FRAMES)
    if outside.any():
        raise InputError(
            f"{name}[{int(outside.argmax())}] is {array[outside][0]}; expected"
            f" 0..{MOST_FRAMES - 1}"
        )
    return array.astype(np.int64)


def as_frame_ids(value: Any, count: int) -> np.ndarray:
    """Ascending frame numbers (count,), as int64."""
    frame_id = as_integers(value, "frame_id", count)
    steps = np.diff(frame_id)
    if (steps <= 0).any():
        place = int((steps <= 0).argmax())
        raise InputError(
            f"frame_id must be {count} ascending frame numbers; {frame_id[place + 1]}"
            f" follows {frame_id[place]} at row {place + 1}"
        )
    return frame_id


def as_fps(value: Any) -> float:
    """One rate in frames a second."""
    said = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    array = np.asarray("" if isinstance(said, list | dict) else said)  # perhaps ragged
    if array.ndim or array.dtype.kind not in "fiu" or not 0 < array <= MOST_FPS:
        raise InputError(
            f"fps is {shown(said)}; expected a positive number, at most {MOST_FPS:g}"
        )
    return float(array)


def as_name(value: Any, name: str) -> str:
    """One text."""
    array = np.asarray(value)
    if array.ndim or array.dtype.kind != "U":
        raise InputError(f"{name} is {shown(array.tolist())}; expected a text")
    return str(array)


def as_names(value: Any, name: str) -> list[str]:
    """Texts (n,), at least one."""
    array = np.asarray(value)
    if array.ndim != 1 or array.dtype.kind != "U" or not len(array):
        raise InputError(
            f"{name} is {array.dtype} {array.shape}; expected (n,) texts, at least one"
        )
    return [str(one) for one in array]
