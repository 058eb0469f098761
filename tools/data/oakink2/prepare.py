"""Turn the published OakInk2 layout into one annotation file, caches and a class list.

    python tools/data/oakink2/prepare.py --root data/oakink2 --joints DIR --dry-run
    python tools/data/oakink2/prepare.py --root data/oakink2 --mano data/mano

Joints are not published: ``--joints`` takes those computed elsewhere (one npz a
sequence, see README.md), ``--mano`` computes them with manotorch and the licensed MANO
model, and without either only the images are used.

``--dry-run`` prints the report only. Else, under --out: ``view/<sequence>.json`` and
``skeleton/<sequence>.npz`` (each pickle is read once; complete ones are kept when the
command is run again), then ``classes.csv``, ``annotation.json`` and ``prepare.log``.
"""

import argparse
import csv
import io
import json
import sys
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from mmfusion.utils.commands import errors_in_one_line
from mmfusion.datasets.caches.skeleton_cache import read_valid, write_skeleton_cache
from mmfusion.datasets.conversion import (
    ConversionReport,
    clear_temporaries,
    finish,
    parse,
    parser_of,
    relative_to,
    run_tasks,
)
from mmfusion.layouts import oakink2
from mmfusion.layouts.frame_listing import SPLITS
from mmfusion.layouts.oakink2_mano import joints_of_hands, load_hand_models
from mmfusion.utils.errors import (InputError, MissingDataError)
from mmfusion.utils.paths import write_atomic


class Scan(NamedTuple):
    """The parts of one sequence; ``missing`` and ``fault`` say why there are none."""

    view: oakink2.EgoView | None = None
    valid: np.ndarray | None = None
    primitives: list[oakink2.Primitive] | None = None
    missing: str | None = None
    fault: str | None = None
    cached: bool = False


def scan(sequence: str, args: argparse.Namespace) -> Scan:
    """Read program, view and joints of a sequence, and cache what is slow to read."""
    token = oakink2.token_of(sequence)
    try:
        primitives = oakink2.read_program(args.root / "program", sequence)
    except MissingDataError:
        return Scan(missing="program_info is not there")
    except (ValueError, OSError) as error:
        return Scan(fault=str(error))
    if not any(oakink2.is_action(one) for one in primitives):
        return Scan(primitives=primitives, missing="sequence has no action")
    with_hands = args.joints is not None or args.mano is not None
    if not args.overwrite:
        view = read_view(args.out / "view" / f"{token}.json")
        cache = args.out / "skeleton" / f"{token}.npz"
        valid = read_valid(cache, sequence, kind=oakink2.IN_CAMERA)
        if view is not None and (valid is not None or not with_hands):
            return Scan(view, valid, primitives, cached=True)
    path = args.root / "anno_preview" / f"{token}.pkl"
    if not path.is_file():
        return Scan(primitives=primitives, missing="anno_preview is not there")
    try:
        view, valid = read_pickle(sequence, path, args)
    except (ValueError, OSError) as error:
        return Scan(primitives=primitives, fault=f"{path.name}: {error}")
    return Scan(view, valid, primitives)


def read_view(path: Path) -> oakink2.EgoView | None:
    """The view that :func:`read_pickle` wrote; None where it is not there or whole."""
    try:
        return oakink2.read_view(path)
    except ValueError:
        return None


def read_pickle(
    sequence: str, path: Path, args: argparse.Namespace
) -> tuple[oakink2.EgoView, np.ndarray | None]:
    """The view and the mask of the hands, both cached unless it is a dry run."""
    anno = oakink2.read_annotation_pickle(path)
    frames = oakink2.egocentric_frames(args.root, sequence, anno)
    listed = {int(number) for number in anno["frame_id_list"]}
    ids = [] if frames is None else frames.ids.tolist()
    view = oakink2.EgoView(
        sequence=sequence,
        frame_dir=relative_to(args.data_root, frames.folder) if frames else None,
        suffix=frames.suffix if frames else None,
        frame_ids=ids,
        num_missing=len(listed - set(ids)),
        camera=oakink2.egocentric_camera(anno, frames),
    )
    hands = find_joints(sequence, anno, args)
    if hands is not None:
        hands = oakink2.to_camera(*hands, anno)
    if not args.dry_run:
        if hands is not None:
            write_skeleton_cache(
                args.out / "skeleton" / f"{path.stem}.npz",
                keypoint=hands[0],
                valid=hands[1],
                frame_id=hands[2],
                fps=oakink2.FPS,
                sequence=sequence,
                kind=oakink2.IN_CAMERA,
            )
        content = json.dumps(asdict(view)).encode()
        write_atomic(args.out / "view" / f"{path.stem}.json", content)
    return view, None if hands is None else hands[1]


def find_joints(
    sequence: str, anno: dict, args: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Joints (t, 2, 21, 3) in the world, valid (t, 2) and frame_id (t,), or None."""
    if args.joints is not None:
        path = args.joints / f"{oakink2.token_of(sequence)}.npz"
        return oakink2.read_joints(path) if path.is_file() else None
    if args.mano is None:
        return None
    if "raw_mano" not in anno:
        raise InputError("raw_mano is missing, which --mano needs")
    ids = sorted(int(number) for number in anno["frame_id_list"])
    return joints_of_hands(anno["raw_mano"], ids, load_hand_models(args.mano))


def choose_classes(
    train: list[str], scans: dict[str, Scan], min_count: int
) -> list[str]:
    """Names with at least ``min_count`` training clips, sorted.

    Raises:
        ValueError: there is none.
    """
    counts = Counter(
        one.name
        for name in train
        for one in scans[name].primitives or []
        if scans[name].view is not None and oakink2.is_action(one)
    )
    classes = sorted(name for name, count in counts.items() if count >= min_count)
    if not classes:
        raise InputError(
            f"no class has {min_count} training clips; the most frequent:"
            f" {counts.most_common(3)}"
        )
    return classes


def make_report(
    splits: dict[str, list[str]],
    scans: dict[str, Scan],
    classes: list[str],
    args: argparse.Namespace,
) -> ConversionReport:
    """Records of the clips that can be used, and the reason for each that cannot."""
    report = ConversionReport(oakink2.metainfo(classes))
    targets = oakink2.read_task_targets(args.root / "program")
    for split, names in splits.items():
        for name in names:
            _add_sequence(report, split, name, scans[name], targets.get(name), args)
    valid = [found.valid for found in scans.values() if found.valid is not None]
    report.count_hands(valid)
    report.faults = [found.fault for found in scans.values() if found.fault]
    cached = sum(found.cached for found in scans.values())
    views = sum(found.view is not None for found in scans.values())
    report.notes += [
        f"sequences with hands: {len(valid)} of {views}",
        f"caches at hand: {cached}",
    ]
    return report


def _add_sequence(
    report: ConversionReport,
    split: str,
    name: str,
    found: Scan,
    target: str | None,
    args: argparse.Namespace,
) -> None:
    if found.view is None and found.primitives is None:
        why = found.missing or "faulty file in sequence"
        report.dropped.append((name, f"sequence: {why}"))
        return
    if found.view is not None and found.view.frame_dir and found.view.num_missing:
        report.missing_frames[name] = found.view.num_missing
    skeleton = args.out / "skeleton" / f"{oakink2.token_of(name)}.npz"
    file = None if found.valid is None else relative_to(args.data_root, skeleton)
    for one in found.primitives or []:
        clip = f"{name}#{one.number}"
        reason = _why_dropped(one, found, report.classes)
        if reason is not None or found.view is None:
            report.dropped.append((clip, str(reason)))
            continue
        record = oakink2.make_record(
            one,
            split,
            found.view,
            classes=report.classes,
            skeleton_file=file,
            target=target,
        )
        if record is None:
            report.dropped.append((clip, "no image of it exists"))
            continue
        if record["end_frame"] < one.end - 1:
            report.clamped.append(f"{clip} {one.end - 1} -> {record['end_frame']}")
        report.records.append(record)


def _why_dropped(
    primitive: oakink2.Primitive, found: Scan, classes: list[str]
) -> str | None:
    if not oakink2.is_action(primitive):
        kind = "unknown" if primitive.name == oakink2.UNKNOWN else "transient"
        return f"{kind} primitive {primitive.name!r}"
    if found.view is None:
        return found.missing or "faulty file in sequence"
    if primitive.name not in classes:
        return f"class {primitive.name!r} is below --min-count"
    if found.view.frame_dir is None and found.valid is None:
        return "sequence has neither images nor hands"
    return None


def class_table(report: ConversionReport) -> bytes:
    """``classes.csv``: class, then its clips in every split."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(report.class_rows())
    return text.getvalue().encode()


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = parser_of(str(__doc__), with_caches=True)
    hands = parser.add_mutually_exclusive_group()
    hands.add_argument("--joints", type=Path, help="folder of <token>.npz")
    hands.add_argument("--mano", type=Path, help="folder with models/MANO_LEFT.pkl, ..")
    parser.add_argument(
        "--min-count", type=int, default=1, help="clips a class needs in train"
    )
    return parse(parser, argv)


def check_roots(args: argparse.Namespace) -> None:
    """Say by name what is missing before anything is read."""
    for path in (args.root, args.root / "program" / "program_info", args.joints):
        if path is not None and not path.is_dir():
            raise MissingDataError(f"{path} is not a folder")
    pickles, views = args.root / "anno_preview", args.out / "view"
    if not pickles.is_dir() and not views.is_dir():  # views of an earlier run do, too
        raise MissingDataError(f"neither {pickles} nor {views} is a folder")
    if args.mano is not None:
        load_hand_models(args.mano)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    root, out = args.root, args.out
    check_roots(args)
    if not args.dry_run:
        for folder in ("view", "skeleton"):
            clear_temporaries(out / folder)
    splits = {split: oakink2.read_split(root, split) for split in SPLITS}
    names = [name for some in splits.values() for name in some]
    jobs = run_tasks(partial(scan, args=args), names, args.workers)
    found = list(track(jobs, "scan", len(names), console=console))
    scans = dict(zip(names, found, strict=True))
    if all(one.view is None for one in found):
        raise MissingDataError(
            f"no sequence of {len(names)} in the splits can be used; the first:"
            f" {names[0]}: {found[0].fault or found[0].missing}"
        )
    classes = choose_classes(splits["train"], scans, args.min_count)
    report = make_report(splits, scans, classes, args)
    return finish(
        report,
        args,
        argv,
        console.print,
        write_caches=lambda: write_atomic(out / "classes.csv", class_table(report)),
    )


if __name__ == "__main__":
    sys.exit(errors_in_one_line(main)())
