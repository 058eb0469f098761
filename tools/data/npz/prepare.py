"""Turn one npz of skeleton sequences into an annotation file and skeleton caches.

    python tools/data/npz/prepare.py natops.npz --out data/natops \
        --layout natops_arm --fps 20 --split-by field:split
    python tools/data/npz/prepare.py mpsign.npz --out data/mpsign \
        --layout mediapipe --fps 30 --frame image --unit image \
        --split-by mod:seq_index:5:0 --val-fraction 0.1

Arrays: ``keypoint`` (f, h, j, 3), the frames of all sequences one after another;
``start`` and ``length`` (n,), which cut them; ``label`` (n,); ``class_names`` (k,);
and, where known, ``valid`` (f, h) and anything of length n to split by. No pickle.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.datasets.caches.skeleton_cache import read_valid, write_skeleton_cache
from mmfusion.datasets.conversion import (
    ConversionReport,
    clear_temporaries,
    finish,
)
from mmfusion.layouts.hand_layouts import get_layout
from mmfusion.utils.errors import InputError

REQUIRED = ("keypoint", "start", "length", "label", "class_names")
HANDS = ["left", "right"]


@dataclass(frozen=True)
class Sequences:
    """The arrays of the file, checked.

    Args:
        keypoint: (f, h, j, 3) float32.
        valid: (f, h) bool.
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


def read_sequences(path: Path) -> Sequences:
    """Read and check the file.

    Raises:
        ValueError: an array is missing or does not fit; the message names it.
    """
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        lacking = [name for name in REQUIRED if name not in file.files]
        if lacking:
            raise InputError(
                f"{path} lacks {', '.join(lacking)}; it has {', '.join(file.files)}"
            )
        arrays = {name: file[name] for name in file.files}
    keypoint = arrays["keypoint"].astype(np.float32)
    if keypoint.ndim != 4 or keypoint.shape[-1] != 3:
        raise InputError(f"{path}: keypoint is {keypoint.shape}, expected (f, h, j, 3)")
    start, length, label = (arrays[name] for name in ("start", "length", "label"))
    count, frames = len(start), len(keypoint)
    if length.shape != (count,) or label.shape != (count,):
        raise InputError(
            f"{path}: start, length and label have {count}, {length.shape} and"
            f" {label.shape} entries, expected as many in each"
        )
    wrong = (start < 0) | (length < 1) | (start + length > frames)
    if wrong.any():
        place = int(wrong.argmax())
        raise InputError(
            f"{path}: sequence {place} has start {start[place]} and length"
            f" {length[place]}, expected frames of 0..{frames - 1}, at least one"
        )
    classes = [str(name) for name in arrays["class_names"]]
    wrong = (label < 0) | (label >= len(classes))
    if wrong.any():
        place = int(wrong.argmax())
        raise InputError(
            f"{path}: label {label[place]} of sequence {place}, expected"
            f" 0..{len(classes) - 1}, as class_names has {len(classes)}"
        )
    valid = arrays.get("valid", np.ones(keypoint.shape[:2], bool)).astype(bool)
    if valid.shape != keypoint.shape[:2]:
        raise InputError(
            f"{path}: valid is {valid.shape}, expected {keypoint.shape[:2]}"
        )
    valid &= np.isfinite(keypoint).all(axis=(2, 3))
    keypoint = np.where(valid[:, :, None, None], keypoint, 0)
    others = {
        name: array
        for name, array in arrays.items()
        if name not in REQUIRED and array.shape[:1] == (count,)
    }
    return Sequences(keypoint, valid, start, length, label, classes, others)


def splits_of(data: Sequences, rule: str) -> list[str]:
    """The split of every sequence.

    By the rule ``field:NAME`` the array NAME holds the splits; by ``mod:NAME:N:R`` it
    is ``test`` where NAME % N == R and ``train`` elsewhere.
    """
    kind, *parts = rule.split(":")
    if kind == "field" and len(parts) == 1:
        return [str(value) for value in _field(data, parts[0])]
    if kind == "mod" and len(parts) == 3 and all(p.isdigit() for p in parts[1:]):
        modulus, rest = int(parts[1]), int(parts[2])
        if 0 <= rest < modulus:
            values = _field(data, parts[0])
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


def write_caches(data: Sequences, out: Path, name: str, fps: float) -> None:
    """One cache a sequence; those that are there and whole are kept."""
    clear_temporaries(out / "skeleton")
    for number in track(range(len(data.start)), "skeletons"):
        rows = slice(data.start[number], data.start[number] + data.length[number])
        path, sequence = out / f"skeleton/{number:05d}.npz", f"{name}/{number:05d}"
        frame_id = np.arange(data.length[number])
        if read_valid(path, sequence, frame_id) is None:
            write_skeleton_cache(
                path,
                keypoint=data.keypoint[rows],
                valid=data.valid[rows],
                frame_id=frame_id,
                fps=fps,
                sequence=sequence,
            )


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    parser.add_argument("npz", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the data_root to be")
    parser.add_argument("--name", help="of the dataset; default: the file's")
    parser.add_argument("--layout", required=True, help="joint order, as mediapipe")
    parser.add_argument("--fps", type=float, required=True)
    parser.add_argument("--unit", default="m", help="of the coordinates")
    parser.add_argument("--frame", default="camera", help="camera, image or world")
    parser.add_argument("--split-by", required=True, help="field:NAME or mod:NAME:N:R")
    parser.add_argument("--val-fraction", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0, help="of --val-fraction")
    parser.add_argument("--dry-run", action="store_true", help="report, write nothing")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    name = args.name or args.npz.stem
    data = read_sequences(args.npz)
    hands, joints = data.keypoint.shape[1:3]
    layout = get_layout(args.layout)
    if joints != layout.num_joints:
        raise InputError(
            f"--layout {args.layout} has {layout.num_joints} joints, {args.npz} has"
            f" {joints}"
        )
    if not args.fps > 0:
        raise InputError(f"--fps is {args.fps}, expected more than 0")
    splits = splits_of(data, args.split_by)
    splits = hold_out(splits, data.label, args.val_fraction, args.seed)
    records = make_records(data, splits, name, args.fps)
    names = HANDS if hands == len(HANDS) else [f"hand{i}" for i in range(hands)]
    metainfo = {
        "version": 1,
        "dataset": name,
        "classes": {"action": data.classes},
        "skeleton": {
            "layout": args.layout,
            "hands": names,
            "unit": args.unit,
            "frame": args.frame,
        },
    }
    report = ConversionReport(metainfo, records)
    report.count_hands([data.valid])
    args.data_root = args.out
    return finish(
        report,
        args,
        argv,
        print,
        write_caches=lambda: write_caches(data, args.out, name, args.fps),
    )


if __name__ == "__main__":
    sys.exit(errors_in_one_line(main)())
