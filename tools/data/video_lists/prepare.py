"""Turn the lists of Something-Something V2, Kinetics or others into one annotation.

    python tools/data/video_lists/prepare.py --layout ssv2 --root data/ssv2
    python tools/data/video_lists/prepare.py --layout kinetics --root data/kinetics400 \
        --drop-missing
    python tools/data/video_lists/prepare.py --layout path_label --root data/ssv2 \
        --prefix 20bn-something-something-v2 --list train=train.csv --list val=val.csv

Every path counts from --root. The report comes first, with the videos that are not
there; with ``--dry-run`` that is all. Else ``annotation.json`` and ``prepare.log`` are
written under --out. Without --list, the layout's own lists are read: see README.md.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path


from mmfusion.utils.commands import errors_in_one_line
from mmfusion.datasets.conversion import (
    ConversionReport,
    finish,
    parse,
    parser_of,
    relative_to,
)
from mmfusion.layouts import video_lists
from mmfusion.utils.errors import MissingDataError


def read_lists(args: argparse.Namespace) -> dict[str, list[video_lists.VideoRow]]:
    """The rows of every split whose list is there; of those asked for, each must be."""
    files = dict(pair.split("=", 1) for pair in args.list)
    if not files:
        own = video_lists.LAYOUTS[args.layout].lists
        files = {key: name for key, name in own.items() if (args.root / name).is_file()}
        if not files:
            raise MissingDataError(
                f"{args.root} has none of {list(own.values())}; name the lists by"
                " --list SPLIT=FILE"
            )
    rows = {}
    for split, name in files.items():
        path = args.root / name
        found = video_lists.read_rows(path, args.layout, args.separator)
        rows[split] = video_lists.rows_of_split(found, split, str(path))
    video_lists.check_unique(row for some in rows.values() for row in some)
    return rows


def make_report(
    rows: Mapping[str, list[video_lists.VideoRow]], args: argparse.Namespace
) -> ConversionReport:
    """Records of the videos that are there, and the names of the others."""
    known = video_lists.LAYOUTS[args.layout]
    class_file = args.class_file or known.class_file
    every = [row for some in rows.values() for row in some]
    if class_file is not None:
        names = video_lists.read_class_names(args.root / class_file)
    else:
        names = video_lists.class_names(every, args.num_classes)
    metainfo = {"version": 1, "dataset": args.layout, "classes": {"action": names}}
    report = ConversionReport(metainfo)
    base = relative_to(args.data_root, args.root)
    prefix = known.prefix if args.prefix is None else args.prefix
    for split, some in rows.items():
        numbers = video_lists.class_numbers(some, names, class_file or "the lists")
        for row, number in zip(some, numbers, strict=True):
            record = video_lists.make_record(
                row,
                split,
                number,
                prefix=f"{base}/{prefix}",
                video_name=args.video_name or known.video_name,
            )
            if (args.root / Path(record["video"]).relative_to(base)).is_file():
                report.records.append(record)
            else:
                report.dropped.append((record["video"], "video is not there"))
    return report


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = parser_of(str(__doc__))
    parser.add_argument("--layout", choices=[*video_lists.LAYOUTS], required=True)
    parser.add_argument(
        "--list",
        action="append",
        default=[],
        metavar="SPLIT=FILE",
        help="of a list of several splits, the rows of SPLIT are taken",
    )
    parser.add_argument(
        "--class-file", help="names in the order of their numbers, or SSv2's labels.json"
    )
    parser.add_argument("--num-classes", type=int, help="where nothing names them")
    parser.add_argument("--prefix", help="folder of the videos; may hold {split}")
    parser.add_argument(
        "--video-name", help="of the fields of a row, such as '{id}.mp4'"
    )
    parser.add_argument("--separator", help="of path_label; default: found out")
    parser.add_argument(
        "--drop-missing", action="store_true", help="write without videos not there"
    )
    args = parse(parser, argv)
    if any("=" not in pair for pair in args.list):
        parser.error(f"--list is {args.list}, expected SPLIT=FILE")
    if args.separator is not None and args.layout != "path_label":
        parser.error("--separator is for the layout path_label only")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    report = make_report(read_lists(args), args)
    obstacle = ""
    if report.dropped and not (args.drop_missing and report.records):
        obstacle = "set --prefix and --video-name, fetch the videos, or --drop-missing"
    return finish(report, args, argv, print, obstacle=obstacle)


if __name__ == "__main__":
    sys.exit(errors_in_one_line(main)())
