"""Train and test configs over seeds, then print the paper's table for them.

    python tools/analysis/table.py configs/cls_mix/*_tiny_h2o.py --seeds 3

    python tools/analysis/table.py CONFIG --vary train_cfg.max_epochs=5,10 --format csv

A sweep runs every combination of the values of --vary, each in a folder of its own. A
stage-2 config brings its stage-1 configs along. What is complete is not done again,
and what was cut off continues. --folds 5 trains and tests on each of the five
annotations fold0.json .. that prepare.py --folds writes, and pools their test clips.
Rows of late fusion (the mean of the single streams' probabilities) and of a linear
model of each stream and their mean stand beside those of the configs.
Runs are in <work root>/<config>/seed<S>, the tables in
<work root>/table.md and table.json; --format latex or csv prints that, and writes
table.tex or table.csv, too. Exit codes: 0 done, 2 wrong config or command, else that of
the run that failed.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from mmfusion.analysis.baselines import baselines_of
from mmfusion.analysis.execution import LOG, RunCommand
from mmfusion.analysis.experiments import grid
from mmfusion.analysis.reports import read_subset, reports_of
from mmfusion.analysis.runs_command import (
    add_runs_arguments,
    complete,
    made_by,
    runs_of,
)
from mmfusion.analysis.tables import FORMATS, show, text_of, write
from mmfusion.engine.launch.start import OptionsAction
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.errors import InputError

TOOLS = Path(__file__).resolve().parents[1]


@errors_in_one_line
def main(
    argv: Sequence[str] | None = None, run_command: RunCommand | None = None
) -> int:
    """The command; ``run_command`` replaces :func:`run_logged` in tests."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("configs", nargs="+", type=Path, metavar="CONFIG")
    add_runs_arguments(parser)
    add(
        "--subset",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="a column for the clips that a file lists, one id a line",
    )
    add(
        "--vary",
        nargs="+",
        action=OptionsAction,
        default={},
        metavar="KEY=A,B",
        help="run every combination of these values",
    )
    add(
        "--no-baselines",
        action="store_true",
        help="no rows of late fusion and of linear models",
    )
    add("--format", choices=FORMATS, default="text", help="of what is printed")
    add("--paper", action="store_true", help="the paper's accuracy in its own column")
    args = parser.parse_args(argv)
    console = Console(stderr=args.format != "text")  # a file gets the table alone
    twice = sorted(args.vary.keys() & args.cfg_options.keys())
    if twice:
        raise InputError(f"{twice} are given by --vary and by --cfg-options")
    names = [path.stem for path in args.subset]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--subset: two files are called {name!r}; rename one")
    subsets = {path.stem: read_subset(path) for path in args.subset}
    runs = runs_of(args, args.configs, TOOLS, vary=args.vary, variants=grid(args.vary))
    places = "*/seed*" if args.folds is None else "*/fold*/seed*"
    console.print(
        f"{len(runs)} runs, their output in {args.work_root}/{places}/{LOG}",
        highlight=False,
    )
    with complete(runs, args.jobs, console, run_command):
        pass  # nothing needs them while a signal can stop it
    baselines = None
    if not args.no_baselines:
        baselines = baselines_of(runs, partial(console.print, highlight=False))
    reports = reports_of(
        runs,
        args.task,
        with_paper=args.paper,
        subsets=subsets,
        baselines=baselines,
        made_by=made_by("table", argv),
    )
    if args.format == "text":
        show(reports, console)
    else:
        sys.stdout.write(text_of(reports, args.format))
    for path in write(reports, args.work_root, args.format):
        console.print(f"wrote {path}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
