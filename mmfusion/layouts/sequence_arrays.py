"""Skeleton sequences in one npz: the frames of all, one after another.

| array | shape | meaning |
|---|---|---|
| keypoint | (f, m, j, 3) | f frames of m skeletons of j joints; or (f, m, j, 2) |
| start, length | (n,) | sequence i is ``keypoint[start[i] : start[i] + length[i]]`` |
| label | (n,) | class numbers from 0 |
| class_names | (k,) | |
| valid | (f, m) or (f, m, j) | optional: False where it was not found |
| others | (n,) | optional, to split by: split, subject, seq_index |

Plain arrays only. What is seen and what is refused, ``skeleton_arrays.py`` says: the
same rule as in training.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmfusion.layouts.frame_arrays import as_integers, as_names, as_numbers
from mmfusion.layouts.landmarks import LandmarkOptions, Landmarks
from mmfusion.layouts.landmarks.arrays import MAX_BYTES
from mmfusion.layouts.landmarks.kinds import RawLandmarks, checked
from mmfusion.utils.errors import InputError, SkeletonError
from mmfusion.utils.npz_file import read_npz

REQUIRED = ("keypoint", "start", "length", "label", "class_names")


@dataclass(frozen=True)
class Sequences:
    """The arrays of the file, checked.

    Attributes:
        landmarks: of the frames of all sequences.
        start: (n,) first frame of every sequence. length: (n,) its frames.
        label: (n,) class numbers from 0. classes: k names.
        fields: every other array of length n.
    """

    landmarks: Landmarks
    start: np.ndarray
    length: np.ndarray
    label: np.ndarray
    classes: list[str]
    fields: dict[str, np.ndarray]

    @property
    def keypoint(self) -> np.ndarray:
        """(f, m, j, 3) float32."""
        return self.landmarks.keypoint

    @property
    def valid(self) -> np.ndarray:
        """(f, m) or (f, m, j) bool."""
        return self.landmarks.valid


def read_sequences(path: Path, options: LandmarkOptions) -> Sequences:
    """Read and check the file, whose skeletons the options describe.

    Raises:
        SkeletonError: names the file, the array, what came and what was expected.
    """
    arrays = read_npz(str(path), max_bytes=MAX_BYTES, error=SkeletonError)
    try:
        return _checked(str(path), arrays, options)
    except InputError as error:
        raise SkeletonError(str(path), str(error)) from None


def _checked(
    path: str, arrays: dict[str, np.ndarray], options: LandmarkOptions
) -> Sequences:
    lacking = [name for name in REQUIRED if name not in arrays]
    if lacking:
        raise InputError(f"it lacks {', '.join(lacking)}; it has {', '.join(arrays)}")
    start = as_integers(arrays["start"], "start")
    length = as_integers(arrays["length"], "length", len(start))
    label = as_integers(arrays["label"], "label", len(start))
    # frames of all sequences: what of one sequence is no array of theirs
    points = as_numbers(arrays["keypoint"], "keypoint")
    raw = RawLandmarks("npz of sequences", {}, points, valid=arrays.get("valid"))
    landmarks = checked(path, raw, options)
    total = len(landmarks.keypoint)
    wrong = (length < 1) | (start + length > total)
    if wrong.any():
        place = int(wrong.argmax())
        raise InputError(
            f"sequence {place} has start {start[place]} and length {length[place]},"
            f" expected frames of 0..{total - 1}, at least one"
        )
    classes = as_names(arrays["class_names"], "class_names")
    wrong = label >= len(classes)
    if wrong.any():
        place = int(wrong.argmax())
        raise InputError(
            f"label {label[place]} of sequence {place}, expected 0..{len(classes) - 1},"
            f" as class_names has {len(classes)}"
        )
    others = {
        name: array
        for name, array in arrays.items()
        if name not in REQUIRED and array.shape[:1] == start.shape
    }
    return Sequences(landmarks, start, length, label, classes, others)


def splits_of(data: Sequences, rule: str) -> list[str]:
    """The split of every sequence.

    By the rule ``field:NAME`` the array NAME holds the splits; by ``mod:NAME:N:R`` it
    is ``test`` where NAME % N == R and ``train`` elsewhere.
    """
    kind, *parts = rule.split(":")
    if kind == "field" and len(parts) == 1:
        return as_names(_field(data, parts[0]), f"--split-by: {parts[0]}")
    if kind == "mod" and len(parts) == 3 and all(p.isdigit() for p in parts[1:]):
        modulus, rest = int(parts[1]), int(parts[2])
        if 0 <= rest < modulus:
            values = as_integers(_field(data, parts[0]), f"--split-by: {parts[0]}")
            return ["test" if value % modulus == rest else "train" for value in values]
    raise InputError(
        f"--split-by is {rule!r}, expected field:NAME or mod:NAME:N:R with 0 <= R < N"
    )


def _field(data: Sequences, name: str) -> np.ndarray:
    if name not in data.fields:
        raise InputError(f"--split-by names {name!r}, expected one of {[*data.fields]}")
    return data.fields[name]
