"""Turn one npz of skeleton sequences into an annotation file and skeleton caches.

    python tools/data/npz/prepare.py natops.npz --out data/natops \
        --layout natops_arm --fps 20 --split-by field:split
    python tools/data/npz/prepare.py mpsign.npz --out data/mpsign \
        --layout mediapipe --fps 30 --frame image --unit image \
        --split-by mod:seq_index:5:0 --val-fraction 0.1

Arrays: ``keypoint`` (f, h, j, 3), the frames of all sequences one after another;
``start`` and ``length`` (n,), which cut them; ``label`` (n,); ``class_names`` (k,);
and, where known, ``valid`` (f, h) or (f, h, j), and anything of length n to split by.
What is seen and what is refused, ``mmfusion/layouts/skeleton_arrays.py`` says: the same
rule as in training. No pickle.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.datasets.caches.skeleton_cache import MAX_BYTES, write_skeleton_cache
from mmfusion.datasets.conversion import (
    ConversionReport,
    clear_temporaries,
    finish,
)
from mmfusion.layouts.frame_arrays import MOST_FPS, as_integers, as_names
from mmfusion.layouts.hand_layouts import LAYOUTS
from mmfusion.layouts.skeleton_arrays import (
    ANY_KIND,
    UNITS,
    SkeletonKind,
    check_skeleton,
)
from mmfusion.utils.errors import InputError, SkeletonError
from mmfusion.utils.npz_file import read_npz

REQUIRED = ("keypoint", "start", "length", "label", "class_names")
HANDS = ["left", "right"]
ANY = "any"  # unit of coordinates whose range nobody knows


@dataclass(frozen=True)
class Sequences:
    """The arrays of the file, checked.

    Args:
        keypoint: (f, h, j, 3) float32.
        valid: (f, h) or (f, h, j) bool.
        start: (n,) first frame of every sequence.
        length: (n,) its frames.
        label: (n,) class numbers from 0.
        classes: k names.
        fields: every other array of length n.
    """

    keypoint: np.ndarray
    valid: np.ndarray
    start: np.ndarray
    length: np.ndarray
    label: np.ndarray
    classes: list[str]
    fields: dict[str, np.ndarray]


def read_sequences(path: Path, kind: SkeletonKind = ANY_KIND) -> Sequences:
    """Read and check the file, whose skeletons must be of this kind.

    Raises:
        SkeletonError: names the file, the array, what came and what was expected.
    """
    arrays = read_npz(str(path), max_bytes=MAX_BYTES, error=SkeletonError)
    try:
        return _checked(str(path), arrays, kind)
    except InputError as error:
        raise SkeletonError(str(path), str(error)) from None


def _checked(path: str, arrays: dict[str, np.ndarray], kind: SkeletonKind) -> Sequences:
    lacking = [name for name in REQUIRED if name not in arrays]
    if lacking:
        raise InputError(f"it lacks {', '.join(lacking)}; it has {', '.join(arrays)}")
    # frames of all sequences: what of one sequence is no array of theirs
    frames = {name: arrays[name] for name in ("keypoint", "valid") if name in arrays}
    skeleton = check_skeleton(path, frames, kind)
    start = as_integers(arrays["start"], "start")
    length = as_integers(arrays["length"], "length", len(start))
    label = as_integers(arrays["label"], "label", len(start))
    total = len(skeleton.keypoint)
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
    return Sequences(
        skeleton.keypoint, skeleton.valid, start, length, label, classes, others
    )


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


def hold_out(
    splits: list[str], label: np.ndarray, fraction: float, seed: int
) -> list[str]:
    """Move a fraction of ``train`` to ``val``, class by class, by the seed alone."""
    if not 0 <= fraction < 1:
        raise InputError(f"--val-fraction is {fraction}, expected 0 <= fraction < 1")
    generator = np.random.default_rng(seed)
    result = np.array(splits, dtype=object)
    for number in np.unique(label):
        rows = np.flatnonzero((label == number) & (result == "train"))
        chosen = generator.permutation(rows)[: round(fraction * len(rows))]
        result[chosen] = "val"
    return [str(split) for split in result]


def make_records(
    data: Sequences, splits: list[str], name: str, fps: float
) -> list[dict[str, Any]]:
    """One record a sequence; the whole of it is the clip."""
    records = []
    for number, split in enumerate(splits):
        group, length = f"{name}/{number:05d}", int(data.length[number])
        records.append(
            {
                "id": group,
                "group": group,
                "split": split,
                "start_sec": 0.0,
                "end_sec": length / fps,
                "start_frame": 0,
                "end_frame": length - 1,
                "index_fps": fps,
                "skeleton": {"file": f"skeleton/{number:05d}.npz"},
                "label": {"action": int(data.label[number])},
            }
        )
    return records


def write_caches(
    data: Sequences, out: Path, name: str, fps: float, kind: SkeletonKind
) -> None:
    """One cache a sequence."""
    clear_temporaries(out / "skeleton")
    for number in track(range(len(data.start)), "skeletons"):
        rows = slice(data.start[number], data.start[number] + data.length[number])
        path, sequence = out / f"skeleton/{number:05d}.npz", f"{name}/{number:05d}"
        write_skeleton_cache(
            path,
            keypoint=data.keypoint[rows],
            valid=data.valid[rows],
            frame_id=np.arange(data.length[number]),
            fps=fps,
            sequence=sequence,
            kind=kind,
        )


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    parser.add_argument("npz", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the data_root to be")
    parser.add_argument("--name", help="of the dataset; default: the file's")
    parser.add_argument(
        "--layout", required=True, choices=[*LAYOUTS], help="order of the joints"
    )
    parser.add_argument("--fps", type=float, required=True)
    parser.add_argument(
        "--unit", default="m", choices=[*UNITS, ANY], help="of the coordinates"
    )
    parser.add_argument("--frame", default="camera", help="camera, image or world")
    parser.add_argument("--split-by", required=True, help="field:NAME or mod:NAME:N:R")
    parser.add_argument("--val-fraction", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0, help="of --val-fraction")
    parser.add_argument("--dry-run", action="store_true", help="report, write nothing")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    name = args.name or args.npz.stem
    skeleton: dict[str, Any] = {
        "layout": args.layout,
        "unit": None if args.unit == ANY else args.unit,
        "frame": args.frame,
    }
    kind = SkeletonKind.of(skeleton)
    data = read_sequences(args.npz, kind)
    if not 0 < args.fps <= MOST_FPS:
        raise InputError(f"--fps is {args.fps}, expected 0 < fps <= {MOST_FPS:g}")
    splits = splits_of(data, args.split_by)
    splits = hold_out(splits, data.label, args.val_fraction, args.seed)
    records = make_records(data, splits, name, args.fps)
    hands = data.keypoint.shape[1]
    skeleton["hands"] = HANDS if hands == 2 else [f"hand{i}" for i in range(hands)]
    metainfo = {
        "version": 1,
        "dataset": name,
        "classes": {"action": data.classes},
        "skeleton": skeleton,
    }
    report = ConversionReport(metainfo, records)
    report.count_hands([data.valid])
    args.data_root = args.out
    return finish(
        report,
        args,
        argv,
        print,
        write_caches=lambda: write_caches(data, args.out, name, args.fps, kind),
    )


if __name__ == "__main__":
    sys.exit(errors_in_one_line(main)())
