"""The page about one or several runs, put together from their folders."""

import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import mmfusion
from mmfusion.analysis.clip_strips import ClipStrips
from mmfusion.analysis.experiments import read_experiment
from mmfusion.analysis.page_clips import alone_groups, alpha_table, worst_group
from mmfusion.analysis.page_curves import alpha_charts, training_charts
from mmfusion.analysis.page_data import (
    cautions,
    describe_data,
    majority,
    open_datasets,
)
from mmfusion.analysis.page_methods import (
    Method,
    find_methods,
    in_order,
    stream_name,
)
from mmfusion.analysis.page_plain import plain_part
from mmfusion.analysis.page_reliance import RELIANCE_NOTES, reliance_table
from mmfusion.analysis.reports import ceiling_of
from mmfusion.analysis.trained_runs import TrainedRun
from mmfusion.evaluation.agreement import ClipTable, compare_clips
from mmfusion.evaluation.by_class import class_report
from mmfusion.evaluation.calibration import calibration
from mmfusion.evaluation.functional import accuracy_interval
from mmfusion.evaluation.predictions import Predictions
from mmfusion.evaluation.statistics import (
    all_pairs,
    clips_needed,
    compare_pairs,
    resolution,
)
from mmfusion.utils.errors import InputError
from mmfusion.visualization.report import (
    Command,
    ModelPart,
    Page,
    PairRow,
    calibration_chart,
)


def make_page(
    runs: Sequence[TrainedRun],
    *,
    task: str | None = None,
    title: str | None = None,
    with_clips: bool = True,
    extra_cautions: Sequence[str] = (),
    commands: Sequence[Command] = (),
    out: Path | None = None,
) -> Page:
    """Everything that the folders of tested runs say.

    Args:
        runs: all tested on the same clips; runs of one config are its seeds.
        task: whose accuracy is shown; None takes ``action``, or the only task.
        title: of the page; None names the data.
        with_clips: show clips, for which the data must be there.
        extra_cautions: said before those that the figures suggest.
        commands: shown before the ones that every run has.
        out: where the page will be, for the command that makes it again.

    Raises:
        InputError: the runs were not tested on the same clips.
    """
    asked, no_clips = task, not with_clips
    task = task or _main_task(runs[0].predictions)
    known, missing = open_datasets(_widest(runs))
    if missing:
        extra_cautions = (*extra_cautions, f"The clips are not there: {missing}")
    with_clips = with_clips and not missing
    methods = find_methods(runs, task, with_clips)
    table = compare_clips({one.name: one.first.predictions for one in methods}, task)
    models = tuple(_model(one, table) for one in methods)
    plain = plain_part(methods, task)
    pairs = tuple(_pairs(methods))
    data = describe_data(known, runs[0].predictions, task)
    best = models[0]
    tested = known.get("test_dataloader") if with_clips else None
    strips = None if tested is None else ClipStrips(tested)
    notes = [resolution(best.classes.num_clips, best.top1.mean)]
    if best.num_seeds > 1:
        notes.append(
            f"Accuracies are means over {best.num_seeds} seeds; everything below the"
            " table of pairs is of the first of them."
        )
    return Page(
        title=title or f"{data.name}: {_listed([one.name for one in models])}",
        made=f"mmfusion {mmfusion.__version__}, {date.today().isoformat()}",
        summary=(*_summary(models, pairs), *plain.summary),
        cautions=(
            *extra_cautions,
            *cautions(known, best.classes, best.top1),
        ),
        data=data,
        models=models,
        plain=plain.rows,
        pairs=pairs,
        notes=(*notes, *plain.notes),
        curves=tuple(training_charts([_curve_of(one) for one in methods], task)),
        alpha=tuple(alpha_charts([_curve_of(one) for one in methods])),
        alpha_table=alpha_table(methods, table),
        reliance=reliance_table(methods, task),
        reliance_notes=RELIANCE_NOTES,
        alone=tuple(alone_groups(methods, table, strips)),
        worst=worst_group(methods, table, strips),
        commands=(
            *commands,
            *_commands(methods[0].first),
            _again(runs, task=asked, title=title, out=out, no_clips=no_clips),
        ),
    )


def _widest(runs: Sequence[TrainedRun]) -> TrainedRun:
    """The run that sees most streams: the records of its data have them all."""
    return max(runs, key=lambda run: len(run.streams))


def _main_task(predictions: Predictions) -> str:
    tasks = [*predictions.score]
    if "action" in tasks or {"verb", "noun"} <= set(tasks):
        return "action"
    if len(tasks) != 1:
        raise InputError(f"the model has the tasks {tasks}; choose one by --task")
    return tasks[0]


def _model(method: Method, table: ClipTable) -> ModelPart:
    own = table.answers[method.name]
    sure = None
    if (own.confidence <= 1 + 1e-5).all() and (own.confidence >= 0).all():
        sure = calibration(own)
    return ModelPart(
        name=method.name,
        config=method.first.name,
        streams=tuple(stream_name(one) for one in in_order(method.result.streams)),
        folder=str(method.first.folder),
        colour=method.colour,
        top1=accuracy_interval(method.result.correct),
        num_seeds=len(method.runs),
        epochs=method.first.epochs,
        parameters=method.first.parameters,
        classes=class_report(own),
        sureness=sure,
        sureness_chart=calibration_chart(sure, method.colour) if sure else None,
        ceiling=ceiling_of(
            read_experiment(method.first.config_path, {}).test_set,
            method.result.streams,
            table.task,
            method.first.predictions.metainfo,
        ),
    )


def _pairs(methods: Sequence[Method]) -> list[PairRow]:
    pairs = all_pairs([method.result for method in methods])
    rows = []
    for (a, b), test in zip(pairs, compare_pairs(pairs), strict=True):
        only_a = float((a.correct & ~b.correct).mean(axis=0).sum())
        only_b = float((b.correct & ~a.correct).mean(axis=0).sum())
        needed = clips_needed(only_a, only_b, len(a.ids), alpha=0.05 / len(pairs))
        if needed is not None and test.p_holm >= 0.05:  # so many were not enough
            needed = max(needed, len(a.ids) + 1)
        rows.append(
            PairRow(
                first=a.name,
                second=b.name,
                difference=test.difference,
                only_first=round(only_a),
                only_second=round(only_b),
                p_value=test.p_value,
                p_holm=test.p_holm,
                needed=needed,
            )
        )
    return rows


def _summary(models: Sequence[ModelPart], pairs: Sequence[PairRow]) -> list[str]:
    best = models[0]
    guess = majority(best.classes)
    lines = [
        f"{best.name} is right in {best.top1.mean:.1f} % of {best.classes.num_clips}"
        f" test clips (95 % interval {best.top1.low:.1f} to {best.top1.high:.1f})."
        f" Always naming the commonest class gives {guess:.1f} %."
    ]
    told = [pair for pair in pairs if pair.p_holm < 0.05]
    if not pairs:
        return lines
    if told:
        lines += [
            f"{pair.first} is better than {pair.second} by"
            f" {pair.difference.mean:.1f} points (95 % interval"
            f" {pair.difference.low:.1f} to {pair.difference.high:.1f})."
            for pair in told[:3]
        ]
    if len(told) < len(pairs):
        needed = [p.needed for p in pairs if p.p_holm >= 0.05 and p.needed is not None]
        which = "The models" if not told else "The other pairs of models"
        text = f"{which} cannot be told apart with these clips"
        if needed:
            text += (
                f"; if they differ as it looks here, about {min(needed):,} test clips"
                " would show the clearest of these differences"
            )
        lines.append(f"{text}.")
    return lines


def _listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: a, b and c."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _curve_of(method: Method) -> tuple[str, int, Path]:
    return method.name, method.colour, method.first.folder


def _commands(run: TrainedRun) -> list[Command]:
    folder, config = run.folder, run.config_path
    return [
        Command(
            "Name the class of a new video:",
            typed("tools/infer.py", "clip.mp4", "--model", folder),
        ),
        Command(
            "Test again, and keep every score:",
            typed(
                "tools/test.py", config, run.checkpoint, "--dump", "predictions.json"
            ),
        ),
        Command(
            "Train it with another seed, to see what chance does:",
            typed(
                *("tools/train.py", config, "--work-dir", f"{folder}-seed1"),
                *("--cfg-options", "randomness.seed=1"),
            ),
        ),
    ]


def _again(
    runs: Sequence[TrainedRun],
    *,
    task: str | None,
    title: str | None,
    out: Path | None,
    no_clips: bool,
) -> Command:
    """The command that makes the same page, of all its runs."""
    words: list[str | Path] = [run.folder for run in runs]
    for option, value in (("--out", out), ("--task", task), ("--title", title)):
        words += [option, value] if value is not None else []
    words += ["--no-clips"] if no_clips else []
    return Command("Make this page again:", typed("tools/analysis/report.py", *words))


def typed(tool: str, *words: str | Path) -> str:
    """A command of ``tools``, as a shell reads it."""
    return shlex.join(["python", tool, *map(str, words)])
