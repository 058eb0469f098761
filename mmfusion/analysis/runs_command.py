"""Command line of the tools that train and test configs over seeds and folds."""

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from mmfusion.analysis.execution import (
    RunCommand,
    run_all,
    run_logged,
    stopped_by_signals,
)
from mmfusion.analysis.experiments import DATALOADERS, Run, plan
from mmfusion.analysis.progress import progress_bar, tell_runs
from mmfusion.datasets.folds import check_folds
from mmfusion.engine.launch.start import OptionsAction
from mmfusion.utils.commands import positive
from mmfusion.utils.errors import InputError


def add_runs_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of a tool that trains and tests configs over seeds and folds."""
    add = parser.add_argument
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


def runs_of(
    args: argparse.Namespace,
    paths: Sequence[Path],
    tools: Path,
    *,
    vary: Mapping[str, Any] | None = None,
    variants: Sequence[Mapping[str, Any]] = ({},),
) -> list[Run]:
    """Runs of configs and of their stage 1, each after what it needs.

    Args:
        args: of :func:`add_runs_arguments`.
        paths: the configs. tools: folder of ``train.py``.
        vary: keys that a sweep sets. variants: as in ``experiments.plan``.

    Raises:
        InputError: one fold, folds that are not there, or a key that an option sets.
        AnnotationError: folds that are not of one set.
    """
    if args.folds == 1:
        raise InputError("--folds 1: expected two at least, or no --folds")
    _check_free({**args.cfg_options, **(vary or {})}, args.folds, args.data)
    experiments = plan(
        paths,
        options=args.cfg_options,
        data_root=args.data,
        folds=args.folds,
        variants=variants,
    )
    sets = {
        (one.test_set.get("data_root") or ".", one.test_set.get("split") or "test")
        for one in experiments
    }
    for root, split in sorted(sets if args.folds else ()):
        check_folds(Path(root), args.folds, split)
    return [
        Run(experiment, seed, args.work_root, tools, fold)
        for seed in range(args.seeds)
        for fold in ([None] if args.folds is None else range(args.folds))
        for experiment in experiments
    ]


def _check_free(
    options: Mapping[str, Any], folds: int | None, data: Path | None
) -> None:
    """Refuse keys that the table sets itself and would silently win over."""
    taken = {"randomness.seed": "--seeds"}
    for loader in DATALOADERS:
        if folds is not None:
            taken[f"{loader}.dataset.ann_file"] = "--folds"
        if data is not None:
            taken[f"{loader}.dataset.data_root"] = "--data"
    for key in options:
        if key in taken:
            raise InputError(f"{key} is set by {taken[key]}; leave one of them out")


@contextmanager
def complete(
    runs: Sequence[Run], jobs: int, console: Console, run_command: RunCommand | None
) -> Iterator[RunCommand]:
    """Train and test what is not there yet; a signal stops runs in good order.

    Args:
        runs: as :func:`runs_of` gives them. jobs: runs at a time.
        run_command: in place of :func:`run_logged`.

    Yields:
        What runs a command, for those that need the runs; a signal stops it, too.
    """
    with progress_bar(console) as bar, stopped_by_signals() as stop:
        command = run_command or partial(run_logged, stop=stop)
        run_all(runs, command, tell_runs(bar, len(runs)), jobs=jobs, stop=stop)
        yield command


def made_by(tool: str, given: Sequence[str] | None) -> str:
    """The command as it was given, for a table's notes.

    >>> made_by("table", ["a b.py"])
    "python tools/analysis/table.py 'a b.py'"
    """
    arguments = sys.argv[1:] if given is None else given
    return shlex.join(["python", f"tools/analysis/{tool}.py", *arguments])
