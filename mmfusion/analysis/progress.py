"""Progress of runs on a terminal, or as lines where there is none."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mmfusion.analysis.execution import Tell
from mmfusion.analysis.experiments import Run


def progress_bar(console: Console) -> Progress:
    """A bar that goes when it is done; none in a file, where it would be one line."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def tell_runs(progress: Progress, total: int) -> Tell:
    """One bar over all runs on a terminal, a line as each begins and ends elsewhere."""
    console, task = progress.console, progress.add_task("", total=total)
    shares: dict[str, float] = {}

    def tell(run: Run, share: float, seconds: float | None) -> None:
        fold = "" if run.fold is None else f"fold {run.fold}, "
        name = f"{run.experiment.name}, {fold}seed {run.seed}"
        shares[name] = share
        now = dict(shares)  # other threads go on
        names = " and ".join(n for n, share in now.items() if share < 1)
        progress.update(task, description=names, completed=sum(now.values()))
        if share == 0 and not console.is_terminal:
            console.print(f"{name} ...", markup=False, highlight=False)
        if share == 1:
            count = f"[{sum(share == 1 for share in now.values())}/{total}]"
            state = "was complete" if seconds is None else f"{seconds:.0f} s"
            console.print(f"{count} {name}: {state}", markup=False, highlight=False)

    return tell
