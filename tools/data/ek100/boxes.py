"""Turn hand and object detections into the box caches that LoadBoxes reads.

    python tools/data/ek100/boxes.py EPIC-KITCHENS/hand-objects --out data/ek100/boxes
    python tools/data/ek100/boxes.py my_boxes.csv --out data/ek100/boxes

The first takes a folder with a pickle per video, at any depth, as published with
epic-kitchens-100-hand-object-bboxes; nothing in a pickle is run. The second takes a csv
file with the columns video_id, frame, name, x1, y1, x2, y2 (frames from 0, corners as
fractions of the picture). Caches that are there are kept, unless --overwrite.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import track

from mmfusion.datasets.caches.box_cache import write_box_cache
from mmfusion.layouts.hand_object_boxes import read_box_csv, read_detections
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.errors import BoxError


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    parser.add_argument("source", type=Path, help="folder of pickles, or a csv file")
    parser.add_argument("--out", type=Path, required=True, help="folder of the caches")
    parser.add_argument("--num-objects", type=int, default=2, help="of a frame")
    parser.add_argument("--hand-threshold", type=float, default=0.5, help="least score")
    parser.add_argument("--object-threshold", type=float, default=0.5)
    parser.add_argument("--fps", type=float, help="of a csv; default 60, extension 50")
    parser.add_argument("--overwrite", action="store_true")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    console = Console()
    if args.source.is_file():
        caches = read_box_csv(args.source, args.fps)
        for video, content in caches.items():
            write_box_cache(args.out / f"{video}.npz", content)
        console.print(f"wrote {len(caches)} caches to {args.out}")
        return 0
    pickles = sorted(args.source.rglob("*.pkl"))
    if not pickles:
        raise FileNotFoundError(f"{args.source} is no csv file and holds no *.pkl")
    written, kept, faults = 0, 0, []
    for path in track(pickles, "boxes", console=console):
        target = args.out / f"{path.stem}.npz"
        if target.is_file() and not args.overwrite:
            kept += 1
            continue
        try:
            content = read_detections(
                path,
                num_objects=args.num_objects,
                hand_threshold=args.hand_threshold,
                object_threshold=args.object_threshold,
            )
        except BoxError as error:
            faults.append(str(error))
            continue
        write_box_cache(target, content)
        written += 1
    lines = [f"wrote {written} caches to {args.out}, kept {kept}", *faults]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(errors_in_one_line(main)())
