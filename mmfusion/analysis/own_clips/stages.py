"""The stages of a try, one after the other, with their progress on a console."""

from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from mmfusion.analysis.execution import (
    RunCommand,
    run_all,
    run_logged,
    stopped_by_signals,
)
from mmfusion.analysis.own_clips.data import Tell, build_data, gather_data
from mmfusion.analysis.own_clips.plan import Plan, TryOptions, make_plan
from mmfusion.analysis.own_clips.runs import page_of, runs_of
from mmfusion.analysis.progress import progress_bar, tell_runs
from mmfusion.analysis.trained_runs import read_runs, test_where_needed
from mmfusion.engine.runner.work_dir import WorkDirLock
from mmfusion.utils.paths import write_atomic
from mmfusion.visualization.report import render

PAGE = "page.html"


def run_stages(
    options: TryOptions,
    console: Console,
    tools: Path,
    run_command: RunCommand | None = None,
    *,
    dry_run: bool = False,
) -> None:
    """Plan, hands and small copies, trainings, page; each does what is not done yet.

    Args:
        options: of the command.
        console: for plan and progress.
        tools: folder of ``train.py`` and ``test.py``; configs lie beside it.
        run_command: starts a training or a test; None takes :func:`run_logged`.
        dry_run: end after the plan, with nothing written.

    Raises:
        MMFusionError: data or options are wrong, a run failed or was stopped.
    """
    options.check()
    lock = None if dry_run else WorkDirLock(options.out)
    data = gather_data(options, write_caches=not dry_run)
    plan = make_plan(data.records, options, extract=data.extract)
    console.print("[1/4] Plan")
    for line in plan_lines(plan):
        console.print(f"  {line}")
    if dry_run:
        return
    console.print("[2/4] Hands and small copies")
    with progress_bar(console) as bar:
        build_data(data, tell_steps(bar))
    for note in data.notes:
        console.print(f"  {note}")
    plan = make_plan(data.records, options, extract=False)
    runs = runs_of(plan, data, tools.parent / "configs" / "custom", tools)
    console.print(f"[3/4] {len(runs)} trainings, their output in {options.out}/runs")
    with progress_bar(console) as bar, stopped_by_signals() as stop:
        command = run_command or partial(run_logged, stop=stop)
        told = tell_runs(bar, len(runs))
        run_all(runs, command, told, jobs=options.jobs, stop=stop)
        trained = read_runs([*dict.fromkeys(run.folder.parent for run in runs)])
        for line in test_where_needed(trained, tools, command):
            console.print(f"  {line}")
    console.print("[4/4] Page")
    page = page_of(trained, plan, options, options.out / PAGE)
    content = render(page).encode()
    write_atomic(options.out / PAGE, content)
    for line in page.summary:
        console.print(f"  {line}")
    console.print(f"wrote {options.out / PAGE}, {len(content) / 1e6:.1f} MB")
    del lock  # held until here


def plan_lines(plan: Plan) -> list[str]:
    """Clips, models, steps and minutes."""
    counts = ", ".join(f"{plan.counts[split]} {split}" for split in sorted(plan.counts))
    lines = [
        f"clips: {counts}",
        f"models: {', '.join(plan.models)}; {plan.epochs} epochs, validated every"
        f" {plan.val_interval}",
    ]
    lines += [
        f"{what}: about {seconds / 60:.1f} min of CPU"
        for what, seconds in plan.steps
        if seconds
    ]
    lines.append(
        f"about {plan.minutes:.0f} min in all, {plan.jobs} at a time on idle cores"
    )
    return lines


def tell_steps(bar: Progress) -> Tell:
    """A bar for each kind of file."""
    tasks: dict[str, TaskID] = {}

    def tell(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done)

    return tell
