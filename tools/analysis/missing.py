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

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mmfusion.analysis.execution import LOG, RunCommand
from mmfusion.analysis.missing_streams import MissingReport, predict_each_subset
from mmfusion.analysis.runs_command import (
    add_runs_arguments,
    complete,
    made_by,
    runs_of,
)
from mmfusion.analysis.tables import show, write
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
    add("configs", nargs="+", type=Path, metavar="CONFIG", help="models with a neck")
    add(
        "--beside",
        nargs="+",
        type=Path,
        default=[],
        metavar="CONFIG",
        help="models trained for some, or all, of the streams",
    )
    add_runs_arguments(parser)
    args = parser.parse_args(argv)
    paths = list(dict.fromkeys([*args.configs, *args.beside]))
    runs = runs_of(args, paths, TOOLS)
    tabled = {path.stem for path in args.configs}
    for one in runs:
        if one.name in tabled and len(one.streams) < 2:
            raise InputError(
                f"{one.experiment.path} has one stream, {one.streams[0]!r}: expected a"
                " model that fuses several; one of a stream alone belongs to --beside"
            )
    console = Console()
    console.print(f"{len(runs)} runs, their output in their {LOG}", highlight=False)
    with complete(runs, args.jobs, console, run_command) as command:
        fused = [run for run in runs if run.name in tabled]
        for line in predict_each_subset(fused, TOOLS, command):
            console.print(line, highlight=False)
    beside = {path.stem for path in args.beside}
    others = [run for run in runs if run.name in beside or run.name not in tabled]
    note = made_by("missing", argv)
    reports = [
        MissingReport(
            [run for run in fused if run.name == path.stem], others, args.task, note
        )
        for path in args.configs
    ]
    show(reports, console)
    for path in write(reports, args.work_root, name="missing"):
        console.print(f"wrote {path}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
