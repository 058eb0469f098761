"""Turn a folder of one's own clips into an annotation file and skeleton caches.

    python tools/data/custom/prepare.py FOLDER --out data/mine --dry-run
    python tools/data/custom/prepare.py FOLDER --out data/mine
    python tools/data/custom/prepare.py FOLDER --out data/mine --hands FOLDER/landmarks

FOLDER has videos and a ``clips.csv`` (video,label[,start,end,split,subject,hands]), or a
folder of videos for each class. Landmarks are found beside the videos, in ``hands``, or
under --hands. The report comes first; with ``--dry-run`` that is all. Else
``annotation.json``, ``skeleton/*.npz`` and ``prepare.log`` are written under --out.
"""

import argparse
import sys
from pathlib import Path

from mmfusion.datasets.custom import CustomSource, gather, write
from mmfusion.datasets.custom.prepare import ANN_FILE, config_hint
from mmfusion.datasets.splits import TEST_FRACTION, VAL_FRACTION
from mmfusion.utils.commands import command_parser, errors_in_one_line


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("folder", type=Path)
    add("--out", type=Path, help="of the annotation; default: FOLDER")
    add("--clips", type=Path, help="the list; default: FOLDER/clips.csv")
    add("--hands", type=Path, help="folder of landmarks, named as the videos")
    add("--name", help="of the data set; default: the folder's")
    add("--no-labels", action="store_true", help="clips to be predicted only")
    add("--val-fraction", type=float, default=VAL_FRACTION, help="of what is not test")
    add("--test-fraction", type=float, default=TEST_FRACTION, help="where none is given")
    add("--seed", type=int, default=0, help="of splits that are not given")
    add("--drop-faulty", action="store_true", help="write without faulty files' clips")
    add("--overwrite", action="store_true", help="replace another set's annotation")
    add("--dry-run", action="store_true", help="report, write nothing")
    args = parser.parse_args(argv)
    args.out = args.out or args.folder
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    source = CustomSource(
        args.folder,
        args.out,
        clips=args.clips,
        hands=args.hands,
        with_labels=not args.no_labels,
        name=args.name,
        val_fraction=args.val_fraction,
        test_fraction=args.test_fraction,
        seed=args.seed,
        drop_faulty=args.drop_faulty,
    )
    data = gather(source)
    print(data.report.text())
    if args.dry_run:
        return 0
    if data.obstacle:
        print(f"nothing written: {data.obstacle}")
        return 1
    write(data, overwrite=args.overwrite)
    print(f"wrote {args.out / ANN_FILE}; in a config: {config_hint(data)}")
    return 0


if __name__ == "__main__":
    sys.exit(errors_in_one_line(main)())
