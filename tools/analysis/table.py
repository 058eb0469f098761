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

import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from mmfusion.analysis.baselines import baselines_of
from mmfusion.analysis.execution import (
    LOG,
    RunCommand,
    run_all,
    run_logged,
    stopped_by_signals,
)
from mmfusion.analysis.experiments import DATALOADERS, Run, grid, plan
from mmfusion.analysis.progress import progress_bar, tell_runs
from mmfusion.analysis.reports import read_subset, reports_of
from mmfusion.analysis.tables import FORMATS, show, text_of, write
from mmfusion.datasets.folds import check_folds
from mmfusion.engine.launch.start import OptionsAction
from mmfusion.utils.commands import command_parser, errors_in_one_line, positive
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
    add("--seeds", type=positive, default=3, help="seeds 0 to N-1")
    add("--folds", type=positive, metavar="N", help="cross-validation of N folds")
    add(
        "--subset",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="a column for the clips that a file lists, one id a line",
    )
    add("--jobs", type=positive, default=1, help="runs at a time")
    add("--work-root", type=Path, default=Path("work_dirs/table"))
    add("--data", type=Path, help="data_root of every dataloader")
    add("--task", default="action", help="the task of the table")
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
    add(
        "--cfg-options",
        nargs="+",
        action=OptionsAction,
        default={},
        help="key.key=value",
    )
    given = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(given)
    console = Console(stderr=args.format != "text")  # a file gets the table alone
    twice = sorted(args.vary.keys() & args.cfg_options.keys())
    if twice:
        raise InputError(f"{twice} are given by --vary and by --cfg-options")
    if args.folds == 1:
        raise InputError("--folds 1: expected two at least, or no --folds")
    _check_free(args.cfg_options, args.vary, args.folds, args.data)
    names = [path.stem for path in args.subset]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--subset: two files are called {name!r}; rename one")
    subsets = {path.stem: read_subset(path) for path in args.subset}
    experiments = plan(
        args.configs,
        options=args.cfg_options,
        data_root=args.data,
        folds=args.folds,
        variants=grid(args.vary),
    )
    sets = {
        (one.test_set.get("data_root") or ".", one.test_set.get("split") or "test")
        for one in experiments
    }
    for root, split in sorted(sets if args.folds else ()):
        check_folds(Path(root), args.folds, split)
    runs = [
        Run(experiment, seed, args.work_root, TOOLS, fold)
        for seed in range(args.seeds)
        for fold in ([None] if args.folds is None else range(args.folds))
        for experiment in experiments
    ]
    places = "*/seed*" if args.folds is None else "*/fold*/seed*"
    console.print(
        f"{len(runs)} runs, their output in {args.work_root}/{places}/{LOG}",
        highlight=False,
    )
    with progress_bar(console) as bar, stopped_by_signals() as stop:
        command = run_command or partial(run_logged, stop=stop)
        run_all(runs, command, tell_runs(bar, len(runs)), jobs=args.jobs, stop=stop)
    baselines = None
    if not args.no_baselines:
        baselines = baselines_of(runs, partial(console.print, highlight=False))
    reports = reports_of(
        runs,
        args.task,
        with_paper=args.paper,
        subsets=subsets,
        baselines=baselines,
        made_by=shlex.join(
            [
                "python",
                "tools/analysis/table.py",
                *(sys.argv[1:] if argv is None else argv),
            ]
        ),
    )
    if args.format == "text":
        show(reports, console)
    else:
        sys.stdout.write(text_of(reports, args.format))
    for path in write(reports, args.work_root, args.format):
        console.print(f"wrote {path}", highlight=False)
    return 0


def _check_free(
    options: Mapping[str, Any],
    vary: Mapping[str, Any],
    folds: int | None,
    data: Path | None,
) -> None:
    """Refuse keys that the table sets itself and would silently win over."""
    taken = {"randomness.seed": "--seeds"}
    for loader in DATALOADERS:
        if folds is not None:
            taken[f"{loader}.dataset.ann_file"] = "--folds"
        if data is not None:
            taken[f"{loader}.dataset.data_root"] = "--data"
    for key in (*options, *vary):
        if key in taken:
            raise InputError(f"{key} is set by {taken[key]}; leave one of them out")


if __name__ == "__main__":
    sys.exit(main())
