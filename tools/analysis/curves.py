"""Draw the curves of several runs in one picture.

    python tools/analysis/curves.py work_dirs/A work_dirs/B --keys loss action/top1

A run that was continued has one curve. Without --out, the picture of one RUN is
RUN/curves.png, that of several curves.png in the folder that holds them all. Exit
codes: 0 done, 2 wrong command, or a run or a key that is not there.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mmfusion.analysis.curves import curves_of, plot
from mmfusion.analysis.trained_runs import place_of
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.errors import InputError
from mmfusion.utils.paths import write_atomic


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="work folders of trainings")
    add("--keys", nargs="+", default=["loss", "action/top1"], help="of the log")
    add("--out", type=Path, help="a .png file; curves.png by the runs if left")
    args = parser.parse_args(argv)
    args.out = args.out or place_of(args.runs, "curves.png")
    if args.out.suffix != ".png":
        raise InputError(f"--out {args.out}: expected a name in .png")
    curves = {key: curves_of(args.runs, key) for key in args.keys}
    write_atomic(args.out, plot(curves))
    Console().print(f"wrote {args.out}", markup=False, highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
