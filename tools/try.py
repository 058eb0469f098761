"""Try models on a folder of one's own clips: one command to a page with the answer.

    python tools/try.py FOLDER --out work_dirs/mine --dry-run
    python tools/try.py FOLDER --out work_dirs/mine

FOLDER has a folder of videos for each class, or videos and a `clips.csv`
(video,label[,start,end,split,subject,hands]), or landmarks without videos, or the
`annotation.json` that tools/data/custom/prepare.py wrote (for landmarks that need
options). Hands are extracted where there are none; RGB, hands and Average fusion are
trained and tested on clips that they have not seen; DIR/page.html says what came out,
with pictures inside, ready to mail. Nothing is written into FOLDER.

The same command continues what was cut off, and does nothing twice. A class with one
clip cannot be tried on new clips; --parts 5 cuts each video into five, and the page
says what such figures are worth. Exit codes: 0 done, 1 no space or a failed run, 2
wrong command or data, 130 stopped.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from mmfusion.utils.commands import (
    STOPPED,
    command_parser,
    errors_in_one_line,
    positive,
    seed,
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER")
    add("--out", type=Path, required=True, metavar="DIR", help="all that is made")
    add("--dry-run", action="store_true", help="say what would be done, and how long")
    add(
        "--arch",
        choices=("nano", "tiny", "small"),
        default="nano",
        help="of the models (%(default)s)",
    )
    add("--epochs", type=positive, help="chosen by the number of clips if left")
    add("--seeds", type=positive, default=1, help="trainings of each model")
    add("--parts", type=positive, help="cut each video into so many clips")
    add("--hands", type=Path, help="folder of landmarks, named as the videos")
    add("--no-hands", action="store_true", help="extract no hands")
    add("--one-hand", action="store_true", help="clips show one hand, of either side")
    add("--models", type=Path, help="of MediaPipe: wheel or folder; else fetched")
    add("--drop-faulty", action="store_true", help="go on without faulty files")
    add("--seed", type=seed, default=0, help="of splits and trainings")
    add("--jobs", type=positive, default=min(os.cpu_count() or 1, 6), help="at a time")
    return parser.parse_args(argv)


@errors_in_one_line
def main(argv: Sequence[str] | None = None, run_command: Any = None) -> int:
    """The command; ``run_command`` starts trainings in place of a process in tests."""
    args = parse_args(argv)
    try:
        return _try(args, run_command)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command continues\n")
        return STOPPED


def _try(args: argparse.Namespace, run_command: Any) -> int:
    # here, since the process that copies a video begins by reading this file again
    from mmfusion.analysis.own_clips import TryOptions, run_stages

    options = TryOptions(
        folder=args.folder,
        out=args.out,
        arch=args.arch,
        epochs=args.epochs,
        seeds=args.seeds,
        parts=args.parts,
        with_hands=not args.no_hands,
        one_hand=args.one_hand,
        hands=args.hands,
        models=args.models,
        drop_faulty=args.drop_faulty,
        seed=args.seed,
        jobs=args.jobs,
    )
    console = Console(highlight=False, soft_wrap=True, markup=False)
    tools = Path(__file__).resolve().parent
    run_stages(options, console, tools, run_command, dry_run=args.dry_run)
    return 0


if __name__ == "__main__":
    sys.exit(main())
