"""Turn a clone of EgoGestAR into an annotation for each fold, and hands of every frame.

    git clone https://github.com/varunj/EgoGestAR data/EgoGestAR
    python tools/data/egogestar/prepare.py --root data/EgoGestAR --out data/egogestar --dry-run
    python tools/data/egogestar/prepare.py --root data/EgoGestAR --out data/egogestar

Prints the report, which names clips that are lost or broken; with ``--dry-run`` that is
all. Else it finds the hands (some minutes; the same command goes on where it was cut off)
and writes ``fold0.json`` to ``fold4.json``, ``videos``, ``skeleton/*.npz``, ``sheet.jpg``,
``prepare.log`` and ``LICENCE.txt`` under --out. ``scenes.csv`` beside this file says where
each clip was filmed, and which fold tests it: no scene is on both sides. Exit codes: 0
done, 1 broken clips and nothing written, 2 wrong command.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from mmfusion.analysis.clip_sheet import write_sheet
from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.custom import CustomData, CustomSource, config_hint, gather, write
from mmfusion.hands import MediaPipeHands
from mmfusion.hands.extraction import Job, check_settings, extract_videos
from mmfusion.layouts.clip_list import ClipList, ClipRow, read_clip_list
from mmfusion.layouts.egogestar import UNCLASSIFIED, EgoGestARClips, list_clips
from mmfusion.layouts.landmarks import LandmarkOptions
from mmfusion.layouts.one_hand import ONE_HAND
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.paths import write_atomic

SCENES = Path(__file__).with_name("scenes.csv")
HANDS = "hands"  # caches of the extractor, in --out
NUM_FOLDS = 5
LICENCE = """\
EgoGestAR, github.com/varunj/EgoGestAR, states no licence for its clips: treat them as all
rights reserved. They were downloaded by whoever uses this folder; do not pass on the
videos, pictures of them, or landmarks found in them.
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--root", type=Path, required=True, help="the clone, or the folder of clips")
    add("--out", type=Path, required=True, help="folder of the annotations")
    add("--hands", type=Path, help="caches of hands that are there, named as the clips")
    add("--models", type=Path, help="of MediaPipe; see tools/data/hands/README.md")
    add("--with-unclassified", action="store_true", help="an eleventh class, 20 clips")
    add("--drop-faulty", action="store_true", help="go on without broken clips")
    add("--overwrite", action="store_true", help="replace another set's annotation")
    add("--dry-run", action="store_true", help="report, write nothing")
    return parser.parse_args(argv)


def rows_of(clips: EgoGestARClips, with_unclassified: bool) -> list[ClipRow]:
    """Clips to use: they are whole, and their scene is known."""
    return [
        dataclasses.replace(row, place=str(row.video), label=clips.label[str(row.video)])
        for row in read_clip_list(SCENES).rows
        if row.video in clips.label and row.video not in clips.broken
        if with_unclassified or clips.label[row.video] != UNCLASSIFIED
    ]


def lines_about(clips: EgoGestARClips, rows: Sequence[ClipRow]) -> list[str]:
    """Lines on clips that are there, that are not, and that are left out."""
    used = {row.video for row in rows}
    others = [n for n, label in clips.label.items() if label == UNCLASSIFIED]
    left = [n for n in clips.label if n not in used | {*others} | clips.broken.keys()]
    lines = [
        f"{clips.folder}: {len(clips.label)} clips, {len(rows)} used,"
        f" {len({*others} - used)} unclassified left out",
        f"lost: {len(clips.lost)}{_named(clips.lost)}",
        f"broken: {len(clips.broken)}",
        *(f"  {name}: {why}" for name, why in clips.broken.items()),
    ]
    if left:
        lines.append(f"not in {SCENES.name}, not used: {len(left)}{_named(left)}")
    if clips.unknown:
        lines.append(f"other files: {len(clips.unknown)}{_named(clips.unknown)}")
    return lines


def _named(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


def find_hands(args: argparse.Namespace, folder: Path, rows: Sequence[ClipRow]) -> int:
    """Write a cache of hands for each clip that has none; number of broken clips."""
    out = args.out / HANDS
    names = [str(row.video) for row in rows]
    jobs = [
        Job(folder / name, Path(name).stem, out / f"{Path(name).stem}.npz")
        for name in names
    ]
    extractor = MediaPipeHands(args.models, one_hand=True)
    check_settings(out, {"one_hand": True})
    found = extract_videos(jobs, extractor)
    bar = track(found, "hands", total=len(jobs), console=Console(stderr=True))
    faults = [outcome.error for outcome in bar if outcome.error is not None]
    print("\n".join(f"broken: {fault}" for fault in faults))
    return len(faults)


def gather_clips(
    args: argparse.Namespace, folder: Path, rows: list[ClipRow]
) -> CustomData:
    """Annotations to be, with the hands that are there."""
    made = args.out / HANDS
    source = CustomSource(
        folder,
        args.out,
        hands=args.hands or (made if made.is_dir() else None),
        options=LandmarkOptions({"hands": [ONE_HAND]}),
        name="egogestar",
        folds=NUM_FOLDS,
        drop_faulty=args.drop_faulty,
    )
    return gather(source, ClipList(rows, []))


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    clips = list_clips(args.root)
    rows = rows_of(clips, args.with_unclassified)
    print("\n".join(lines_about(clips, rows)))
    stopped = clips.broken and not args.drop_faulty
    if not args.dry_run and not stopped and args.hands is None:
        stopped = find_hands(args, clips.folder, rows) and not args.drop_faulty
    data = gather_clips(args, clips.folder, rows)
    print(data.report.text())
    if args.dry_run:
        return 0
    obstacle = data.obstacle
    if stopped and not obstacle:
        obstacle = "mend the broken clips, or go on without them: --drop-faulty"
    if obstacle:
        print(f"nothing written: {obstacle}")
        return 1
    write(data, overwrite=args.overwrite)
    write_atomic(args.out / "LICENCE.txt", LICENCE.encode())
    first = data.ann_files[0]
    dataset = MultiModalDataset(first, [], data_root=str(args.out), test_mode=True)
    drawn = write_sheet(args.out / "sheet.jpg", dataset)
    print(f"look at {drawn} clips: {args.out / 'sheet.jpg'}")
    print(f"wrote {args.out / 'fold*.json'}; in a config: {config_hint(data)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
