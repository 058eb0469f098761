"""Turn the published H2O layout into one annotation file and skeleton caches.

    python tools/data/h2o/prepare.py --root data/h2o --dry-run
    python tools/data/h2o/prepare.py --root data/h2o --workers 4

Prints the report first; with ``--dry-run`` that is all. Else it writes, under --out:
``annotation.json``, ``skeleton/<sequence>.npz`` (text files read once, complete ones
kept when the command is run again) and ``prepare.log`` with every name in the report.
"""

import argparse
import sys
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
from mmfusion.layouts import h2o
from mmfusion.layouts.frame_listing import SPLITS
from mmfusion.utils.errors import MissingDataError


class Scan(NamedTuple):
    """The files of one sequence; ``fault`` says why it cannot be used.

    Attributes:
        files: its listings. keypoint: (t, 2, 21, 3), None where they are in a cache.
        valid: (t, 2), None without hands. missing: nothing of it is there.
    """

    files: h2o.H2OSequence | None = None
    keypoint: np.ndarray | None = None
    valid: np.ndarray | None = None
    fault: str | None = None
    missing: bool = False


def scan(name: str, root: Path, caches: Path, frames: str, overwrite: bool) -> Scan:
    """List the files of a sequence and read its hands, from the cache if there is one.

    A sequence that is not there is told apart from a file that is wrong.
    """
    files = None
    try:
        files = h2o.scan_sequence(root, name, frames)
        if files.poses is None:
            return Scan(files)
        path = caches / h2o.skeleton_name(name)
        valid = None if overwrite else read_valid(path, name, files.poses.ids, h2o.HANDS)
        if valid is not None:
            return Scan(files, valid=valid)
        return Scan(files, *h2o.read_skeleton(files.poses))
    except MissingDataError as error:
        return Scan(fault=str(error), missing=True)
    except (ValueError, OSError) as error:
        return Scan(files, fault=str(error))


def make_report(
    clips: dict[str, list[h2o.H2OClip]],
    scans: dict[str, Scan],
    data_root: Path,
    caches: Path,
) -> ConversionReport:
    """Records of the clips that can be used, and the reason for each that cannot."""
    report = ConversionReport(h2o.METAINFO)
    for split, rows in clips.items():
        for clip in rows:
            _add_clip(report, clip, split, scans[clip.sequence], data_root, caches)
    _count_sequences(report, clips, scans)
    return report


def _add_clip(
    report: ConversionReport,
    clip: h2o.H2OClip,
    split: str,
    found: Scan,
    data_root: Path,
    caches: Path,
) -> None:
    name = f"{clip.sequence}#{clip.row}"
    if found.files is None or found.fault is not None:
        reason = "sequence is not there" if found.missing else "faulty file in sequence"
        report.dropped.append((name, reason))
        return
    images, cache = found.files.frames, caches / h2o.skeleton_name(clip.sequence)
    record = h2o.make_record(
        clip,
        split,
        found.files,
        frame_dir=relative_to(data_root, images.folder) if images else None,
        skeleton_file=relative_to(data_root, cache) if found.files.poses else None,
    )
    if record is None:
        report.dropped.append((name, "no frame of it exists"))
        return
    if record["end_frame"] < clip.end:
        report.clamped.append(f"{name} {clip.end} -> {record['end_frame']}")
    report.records.append(record)


def _count_sequences(
    report: ConversionReport,
    clips: dict[str, list[h2o.H2OClip]],
    scans: dict[str, Scan],
) -> None:
    """Frames without a file, valid hands, faults, and what kinds of files there are."""
    expected = {c.sequence: c.last_frame + 1 for rows in clips.values() for c in rows}
    report.count_hands(one.valid for one in scans.values() if one.valid is not None)
    kinds: dict[str, int] = {}
    for name, found in scans.items():
        if found.fault is not None and not found.missing:
            report.faults.append(found.fault)
        if found.files is None:
            continue
        for files in (found.files.frames, found.files.poses):
            kind = "none" if files is None else f"{files.folder.name}/*{files.suffix}"
            kinds[kind] = kinds.get(kind, 0) + 1
            if files is None:
                continue
            holes = expected[name] - int((files.ids < expected[name]).sum())
            if holes:
                report.missing_frames[f"{name} {files.folder.name}"] = holes
    count = ", ".join(f"{n} x {kind}" for kind, n in sorted(kinds.items()))
    cached = sum(
        one.valid is not None and one.keypoint is None for one in scans.values()
    )
    report.notes += [f"streams: {count}", f"skeleton caches at hand: {cached}"]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = parser_of(str(__doc__), with_caches=True)
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=list(SPLITS))
    parser.add_argument(
        "--frames", choices=("auto", *h2o.FRAME_FOLDERS), default="auto"
    )
    return parse(parser, argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    root, caches = args.root, args.out / "skeleton"
    if not root.is_dir():
        raise MissingDataError(f"--root {root} is not a folder")
    clips = {
        split: h2o.read_action_file(h2o.find_action_file(root, split))
        for split in args.splits
    }
    names = sorted({clip.sequence for rows in clips.values() for clip in rows})
    job = partial(
        scan, root=root, caches=caches, frames=args.frames, overwrite=args.overwrite
    )
    jobs = run_tasks(job, names, args.workers)
    found = list(track(jobs, "scan", len(names), console=console))
    scans = dict(zip(names, found, strict=True))
    if all(one.missing for one in found):
        raise MissingDataError(f"no sequence under {root}: {found[0].fault}")
    report = make_report(clips, scans, args.data_root, caches)

    def write_caches() -> None:
        clear_temporaries(caches)
        used = {record["group"] for record in report.records}
        fresh = [name for name in used if scans[name].keypoint is not None]
        for name in track(sorted(fresh), "skeletons", console=console):
            one = scans[name]
            write_skeleton_cache(
                caches / h2o.skeleton_name(name),
                keypoint=one.keypoint,
                valid=one.valid,
                frame_id=one.files.poses.ids,
                fps=h2o.FPS,
                sequence=name,
                kind=h2o.HANDS,
            )

    return finish(report, args, argv, console.print, write_caches=write_caches)


if __name__ == "__main__":
    sys.exit(errors_in_one_line(main)())
