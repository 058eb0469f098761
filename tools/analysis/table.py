"""Train and test configs over seeds, then print the paper's table for them.

    python tools/analysis/table.py configs/cls_mix/*_tiny_h2o.py --seeds 3

A stage-2 config brings its stage-1 configs along. What is complete is not done again,
and what was cut off continues. Runs are in <work root>/<config>/seed<S>, the tables in
<work root>/table.md and table.json.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from execution import (
    LOG,
    RunCommand,
    RunFailed,
    run_all,
    run_logged,
    stopped_by_signals,
)
from experiments import Experiment, Run, groups, plan
from mmengine.config import DictAction
from report import Report, show, write
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mmfusion.evaluation.predictions import Predictions, load_predictions
from mmfusion.evaluation.statistics import collect
from mmfusion.utils.errors import CheckpointError, ConfigError, WorkDirError

_TEST_SHARE = 0.05  # of a run's time; the bar only needs a guess


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("configs", nargs="+", type=Path, metavar="CONFIG")
    add("--seeds", type=int, default=3, help="seeds 0 to N-1")
    add("--jobs", type=int, default=1, help="runs at a time")
    add("--work-root", type=Path, default=Path("work_dirs/table"))
    add("--data", type=Path, help="data_root of every dataloader")
    add("--task", default="action", help="the task of the table")
    add("--paper", action="store_true", help="the paper's accuracy in its own column")
    add(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        default={},
        help="change every config: key.key=value",
    )
    args = parser.parse_args(argv)
    for name in ("seeds", "jobs"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} is {getattr(args, name)}, expected 1 or more")
    return args


class _Bar:
    """One bar over all runs on a terminal, a line as each begins and ends elsewhere."""

    def __init__(self, progress: Progress, console: Console, total: int) -> None:
        self._progress, self._console = progress, console
        self._task = progress.add_task("", total=total)
        self._shares: dict[str, float] = {}
        self._total = total

    def begin(self, run: Run) -> "_Line":
        """A line of a run that begins."""
        name = f"{run.experiment.name}, seed {run.seed}"
        if not self._console.is_terminal:
            self.say(f"{name} ...")
        self.set(name, 0.0)
        return _Line(self, name)

    def set(self, name: str, share: float) -> None:
        """The share of a run that is done, 0 to 1."""
        self._shares[name] = share
        names = " and ".join(n for n, share in self._shares.items() if share < 1)
        done = sum(self._shares.values())
        self._progress.update(self._task, description=names, completed=done)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, markup=False, highlight=False)

    def count(self) -> str:
        """How many runs are complete."""
        done = sum(share == 1 for share in self._shares.values())
        return f"[{done}/{self._total}]"


class _Line:
    """What the bar shows of one run."""

    def __init__(self, bar: _Bar, name: str) -> None:
        self._bar, self._name = bar, name

    def within(self, share: float) -> None:
        self._bar.set(self._name, share * (1 - _TEST_SHARE))

    def end(self, seconds: float | None) -> None:
        self._bar.set(self._name, 1.0)
        state = "was complete" if seconds is None else f"{seconds:.0f} s"
        self._bar.say(f"{self._bar.count()} {self._name}: {state}")


@contextmanager
def _progress(console: Console, total: int) -> Iterator[_Bar]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    # a bar in a file would be one long line
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        yield _Bar(progress, console, total)


def predictions_of(
    experiment: Experiment, runs: Sequence[Run]
) -> dict[int, Predictions]:
    """What each seed of an experiment predicted."""
    own = [run for run in runs if run.experiment is experiment]
    return {run.seed: load_predictions(run.predictions) for run in own}


def ceiling_of(
    experiment: Experiment, task: str, metainfo: Mapping[str, Any]
) -> float | None:
    """The best accuracy that the streams allow, where the data has ceilings.json.

    Args:
        experiment: whose test set it is.
        task: of the table.
        metainfo: of the predictions; with the source of the questions, and metrics
            whose names say whether actions were seen or anticipated.
    """
    root = experiment.test_set.get("data_root")
    file = Path(root, "ceilings.json") if root else None
    if file is None or not file.is_file():
        return None
    splits = json.loads(file.read_text())["splits"]
    bounds = splits.get(experiment.test_set.get("split")) or {}
    if any("tau_a=" in key for key in metainfo.get("metrics") or {}):
        bounds = bounds.get("anticipation", {}).get("top1", {})
    source = metainfo.get("question_source")
    return bounds.get(task, {}).get(_seen(experiment.streams, source))


def _seen(streams: Sequence[str], source: str | None) -> str:
    """The name in ceilings.json of what a model is shown."""
    media = [name for name in streams if name != "text"]
    seen = media[0] if len(media) == 1 else "both"
    if "text" not in streams:
        return seen
    return f"{seen}+{source}" if media else f"text_{source}"


def make_reports(
    experiments: Sequence[Experiment],
    runs: Sequence[Run],
    args: argparse.Namespace,
) -> list[Report]:
    """One report for each group of methods that belong together."""
    reports = []
    for group in groups(experiments):
        results, ceilings = [], {}
        for one in group:
            found = predictions_of(one, runs)
            results.append(collect(one.name, one.streams, found, args.task))
            metainfo = next(iter(found.values())).metainfo
            ceilings[one.name] = ceiling_of(one, args.task, metainfo)
        reports.append(
            Report(
                f"{args.task}, {args.seeds} seed{'s' if args.seeds > 1 else ''}",
                results,
                ceilings={k: v for k, v in ceilings.items() if v is not None},
                with_paper=args.paper,
            )
        )
    return reports


def main(
    argv: Sequence[str] | None = None, run_command: RunCommand | None = None
) -> int:
    """The command; ``run_command`` replaces :func:`run_logged` in tests."""
    args = parse_args(argv)
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 130  # a file has no edge at which to break the columns
    try:
        experiments = plan(args.configs, options=args.cfg_options, data_root=args.data)
        runs = [
            Run(experiment, seed, args.work_root)
            for seed in range(args.seeds)
            for experiment in experiments
        ]
        console.print(
            f"{len(runs)} runs, their output in {args.work_root}/*/seed*/{LOG}",
            highlight=False,
        )
        with _progress(console, len(runs)) as bar, stopped_by_signals() as stop:
            command = run_command or partial(run_logged, stop=stop)
            run_all(runs, command, bar.begin, jobs=args.jobs, stop=stop)
        reports = make_reports(experiments, runs, args)
    except RunFailed as failure:
        print(failure, file=sys.stderr)
        return failure.code
    except (
        ConfigError,
        WorkDirError,
        CheckpointError,
        FileNotFoundError,
        ValueError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(reports, console)
    for path in write(reports, args.work_root):
        console.print(f"wrote {path}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
