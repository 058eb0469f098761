"""Test fused models where clips lack streams: every subset, 0 to 100 % of the clips.

    python tools/analysis/missing.py configs/streams/missing_average_nano_tinyego.py \\
        --beside configs/demo/cls_mix_average_nano_tinyego.py --seeds 3

Trains and tests as tools/analysis/table.py does, in the same folders: the configs,
those of their stage 1, which are the models trained for one stream, and those of
--beside, such as a fusion of two of three streams, or one that was trained on whole
clips. What is complete is not done again. Each config then answers every clip with each
of the 2^m - 1 subsets of its m streams; of more than four streams with one left out, or
one kept. Its table has the accuracy where 0, 25, 50, 75 and 100 % of the clips have
only a subset, beside the models trained for it, and beside the ceiling where the data
has one. Tables are in <work root>/missing.md and missing.json. Exit codes: 0 done, 2
wrong config or command, else that of the run that failed.
"""

import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from mmfusion.analysis.execution import (
    LOG,
    RunCommand,
    run_all,
    run_logged,
    stopped_by_signals,
)
from mmfusion.analysis.experiments import Run, plan
from mmfusion.analysis.missing_streams import MissingReport, predict_each_subset
from mmfusion.analysis.progress import progress_bar, tell_runs
from mmfusion.analysis.tables import show, write
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
    add("configs", nargs="+", type=Path, metavar="CONFIG", help="models with a neck")
    add(
        "--beside",
        nargs="+",
        type=Path,
        default=[],
        metavar="CONFIG",
        help="models trained for some, or all, of the streams",
    )
    add("--seeds", type=positive, default=3, help="seeds 0 to N-1")
    add("--folds", type=positive, metavar="N", help="cross-validation of N folds")
    add("--jobs", type=positive, default=1, help="runs at a time")
    add("--work-root", type=Path, default=Path("work_dirs/table"))
    add("--data", type=Path, help="data_root of every dataloader")
    add("--task", default="action", help="the task of the table")
    add(
        "--cfg-options",
        nargs="+",
        action=OptionsAction,
        default={},
        help="key.key=value",
    )
    given = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(given)
    paths = list(dict.fromkeys([*args.configs, *args.beside]))
    experiments = plan(
        paths, options=args.cfg_options, data_root=args.data, folds=args.folds
    )
    tabled = {path.stem for path in args.configs}
    for one in experiments:
        if one.name in tabled and len(one.streams) < 2:
            raise InputError(
                f"{one.path} has one stream, {one.streams[0]!r}: expected a model that"
                " fuses several; one of a stream alone belongs to --beside"
            )
    runs = [
        Run(experiment, seed, args.work_root, TOOLS, fold)
        for seed in range(args.seeds)
        for fold in ([None] if args.folds is None else range(args.folds))
        for experiment in experiments
    ]
    console = Console()
    console.print(f"{len(runs)} runs, their output in their {LOG}", highlight=False)
    with progress_bar(console) as bar, stopped_by_signals() as stop:
        command = run_command or partial(run_logged, stop=stop)
        run_all(runs, command, tell_runs(bar, len(runs)), jobs=args.jobs, stop=stop)
        fused = [run for run in runs if run.name in tabled]
        for line in predict_each_subset(fused, TOOLS, command):
            console.print(line, highlight=False)
    beside = {path.stem for path in args.beside}
    others = [run for run in runs if run.name in beside or run.name not in tabled]
    made_by = shlex.join(["python", "tools/analysis/missing.py", *given])
    reports = [
        MissingReport(
            [run for run in fused if run.name == path.stem], others, args.task, made_by
        )
        for path in args.configs
    ]
    show(reports, console)
    for path in write(reports, args.work_root, name="missing"):
        console.print(f"wrote {path}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
