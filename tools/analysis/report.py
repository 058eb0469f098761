"""Write one HTML page about trained models: a file to open, print or mail.

    python tools/analysis/report.py work_dirs/rgb work_dirs/hands work_dirs/average \
        --out page.html

Each RUN is a folder that tools/train.py wrote, or one that holds such folders as seed0,
seed1 and so on. Without --out, the page of one RUN is RUN/page.html, and that of
several is page.html in the folder that holds them all. A run that was not tested since
it was trained is tested first, a fused model without each of its streams as well. All
must have been tested on the same clips. Pictures are inside the file, and it asks
nothing of the network. Exit codes: 0 done, 2 wrong command or folder, else that of a
test that failed.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from mmfusion.analysis.execution import RunCommand, run_logged, stopped_by_signals
from mmfusion.analysis.run_page import make_page
from mmfusion.analysis.trained_runs import (
    place_of,
    read_runs,
    test_where_needed,
)
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.paths import check_writable_as_file, write_atomic
from mmfusion.visualization.report import render

TOOLS = Path(__file__).resolve().parents[1]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN")
    add("--out", type=Path, help="the .html to write; page.html by the runs if left")
    add("--task", help="whose accuracy is shown; action, or the only one, if left")
    add("--title", help="of the page")
    add("--no-clips", action="store_true", help="no pictures: the data is not needed")
    args = parser.parse_args(argv)
    args.out = args.out or place_of(args.runs, "page.html")
    if args.out.suffix not in (".html", ".htm"):
        parser.error(f"--out is {args.out}, expected a name in .html")
    return args


@errors_in_one_line
def main(
    argv: Sequence[str] | None = None, run_command: RunCommand | None = None
) -> int:
    """The command; ``run_command`` replaces :func:`run_logged` in tests."""
    args = parse_args(argv)
    check_writable_as_file(args.out)
    console = Console(highlight=False, soft_wrap=True)
    runs = read_runs(args.runs)
    with stopped_by_signals() as stop:
        command = run_command or partial(run_logged, stop=stop)
        for line in test_where_needed(runs, TOOLS, command):
            console.print(line, markup=False)
    page = make_page(
        runs,
        task=args.task,
        title=args.title,
        with_clips=not args.no_clips,
        out=args.out,
    )
    data = render(page).encode()
    write_atomic(args.out, data)
    console.print(f"wrote {args.out}, {len(data) / 1e6:.1f} MB", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
