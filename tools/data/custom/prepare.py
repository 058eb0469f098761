"""Turn a folder of one's own clips into an annotation file and skeleton caches.

    python tools/data/custom/prepare.py FOLDER --out data/mine --dry-run
    python tools/data/custom/prepare.py FOLDER --out data/mine
    python tools/data/custom/prepare.py FOLDER --out data/mine --hands FOLDER/landmarks
    python tools/data/custom/prepare.py natops.npz --out data/natops --fps 20 --unit m \
        --layout natops_arm --split-by field:split --val-fraction 0

FOLDER has videos and a ``clips.csv`` (video,label[,start,end,split,subject,hands,...]),
or a folder of videos for each class; or it is one npz of skeleton sequences. Landmarks are found beside the videos, in ``hands``, or
under --hands. The report comes first; with ``--dry-run`` that is all. Else
``annotation.json``, ``videos``, ``skeleton/*.npz``, ``sheet.jpg`` (pictures to look at)
and ``prepare.log`` are written under --out. With ``--folds 5`` there are ``fold0.json`` to
``fold4.json`` in place of ``annotation.json``: every clip is in the test split of one.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from mmfusion.analysis.clip_sheet import write_sheet
from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.custom import (
    CustomSource,
    config_hint,
    gather,
    write,
)
from mmfusion.datasets.splits import TEST_FRACTION, VAL_FRACTION
from mmfusion.layouts.frame_arrays import MOST_FPS
from mmfusion.layouts.landmarks import LandmarkOptions, read_bones
from mmfusion.layouts.skeleton_arrays import UNITS
from mmfusion.utils.commands import command_parser, errors_in_one_line, seed
from mmfusion.utils.errors import InputError

SHEET = "sheet.jpg"
ANY = "any"  # unit of coordinates whose range nobody knows


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("folder", type=Path)
    add("--out", type=Path, help="of the annotation; default: FOLDER")
    add("--clips", type=Path, help="the list; default: FOLDER/clips.csv")
    add("--hands", type=Path, help="folder of landmarks, named as the videos")
    _add_landmark_options(parser)
    add("--name", help="of the data set; default: the folder's")
    add("--split-by", help="field:NAME or mod:NAME:N:R, of an npz of sequences")
    add("--no-labels", action="store_true", help="clips to be predicted only")
    add("--val-fraction", type=float, default=VAL_FRACTION, help="of what is not test")
    add("--test-fraction", type=float, help=f"where none is given; {TEST_FRACTION}")
    add("--folds", type=int, metavar="N", help="N annotations, fold0.json ...")
    add("--seed", type=seed, default=0, help="of splits that are not given")
    add("--drop-faulty", action="store_true", help="write without faulty files' clips")
    add("--overwrite", action="store_true", help="replace another set's annotation")
    add("--dry-run", action="store_true", help="report, write nothing")
    args = parser.parse_args(argv)
    if args.out is None and args.folder.suffix == ".npz":
        parser.error("--out is missing: the folder of the annotation of an npz")
    if args.folds is not None and args.no_labels:
        parser.error("--folds and --no-labels: clips without labels are not tested")
    if args.folds is not None and args.test_fraction is not None:
        parser.error("--folds and --test-fraction: each of N folds tests 1 / N")
    if args.test_fraction is None:
        args.test_fraction = TEST_FRACTION
    args.out = args.out or args.folder
    return args


def _add_landmark_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "landmarks", "what the files do not say themselves; see README.md"
    )
    add = group.add_argument
    add("--layout", help="order of the joints, such as mediapipe")
    add("--joints", help="of one's own skeleton: how many, or names: nose,neck,...")
    add("--wrist", type=int, help="number of the root joint")
    add("--bones", type=Path, help="csv or json of pairs of joints")
    add("--skeletons", help="left,right or hand or body: what the files hold")
    add("--unit", choices=[*UNITS, ANY], help="of the coordinates")
    add("--frame", help="camera, image, world ...")
    add("--dims", type=int, choices=(2, 3), help="coordinates of a landmark")
    add("--fps", type=float, help="rows a second, where a file does not say it")
    add("--min-confidence", type=float, default=0.0, help="less is not seen")
    add("--swap-hands", action="store_true", help="left is right, and the reverse")


def landmark_options(args: argparse.Namespace) -> LandmarkOptions:
    """Options of the command about the landmarks."""
    skeleton: dict[str, Any] = {} if args.bones is None else read_bones(args.bones)
    if args.joints is not None and args.joints.isdecimal():
        # as many digits as tell that it is too many
        skeleton["num_joints"] = int(args.joints[:9])
    elif args.joints is not None:
        skeleton["joints"] = args.joints.split(",")
    given = dict(layout=args.layout, wrist=args.wrist, frame=args.frame, unit=args.unit)
    skeleton |= {key: value for key, value in given.items() if value is not None}
    if args.unit == ANY:
        skeleton["unit"] = None
    if args.skeletons is not None:
        skeleton["hands"] = args.skeletons.split(",")
    if args.fps is not None and not 0 < args.fps <= MOST_FPS:
        raise InputError(f"--fps is {args.fps}, expected 0 < fps <= {MOST_FPS:g}")
    return LandmarkOptions(
        skeleton,
        dims=args.dims,
        fps=args.fps,
        swap_hands=args.swap_hands,
        min_confidence=args.min_confidence,
    )


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    source = CustomSource(
        args.folder,
        args.out,
        clips=args.clips,
        hands=args.hands,
        options=landmark_options(args),
        with_labels=not args.no_labels,
        name=args.name,
        split_by=args.split_by,
        val_fraction=args.val_fraction,
        test_fraction=args.test_fraction,
        seed=args.seed,
        folds=args.folds,
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
    first = data.ann_files[0]
    dataset = MultiModalDataset(first, [], data_root=str(args.out), test_mode=True)
    drawn = write_sheet(args.out / SHEET, dataset)
    print(f"look at {drawn} clips: {args.out / SHEET}")
    names = data.ann_files[0] if len(data.ann_files) == 1 else "fold*.json"
    print(f"wrote {args.out / names}; in a config: {config_hint(data)}")
    return 0


if __name__ == "__main__":
    sys.exit(errors_in_one_line(main)())
