"""Reports on the runs of a table: predictions pooled over folds, ceilings, times."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmfusion.analysis.baselines.rows import Baselines
from mmfusion.analysis.execution import seconds_of
from mmfusion.analysis.experiments import Run, TestedRun, groups
from mmfusion.analysis.tables import Report
from mmfusion.evaluation.predictions import Predictions, load_predictions, pool
from mmfusion.evaluation.statistics import MethodResult, collect
from mmfusion.utils.errors import AnnotationError, InputError
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import read_json, read_lines


def reports_of(
    runs: Sequence[Run],
    task: str,
    *,
    with_paper: bool = False,
    subsets: Mapping[str, Collection[str]] | None = None,
    baselines: Baselines | None = None,
    made_by: str | None = None,
) -> list[Report]:
    """One report for each group of methods that belong together.

    Args:
        runs: complete; see `execution.run_all`.
        task: whose accuracy the table has.
        with_paper: as of :class:`Report`.
        subsets: by name, ids of clips that get a column of their own.
        baselines: rows beside those of the runs.
        made_by: the command, for the notes.
    """
    reports = []
    experiments = {run.experiment.name: run.experiment for run in runs}
    for group in groups(list(experiments.values())):
        results, ceilings, seconds = [], {}, {}
        for one in group:
            own = [run for run in runs if run.experiment is one]
            result, metainfo = result_of(own, task)
            results.append(result)
            ceilings[one.name] = ceiling_of(one.test_set, one.streams, task, metainfo)
            seconds[one.name] = _mean_seconds(own)
        names = {one.name for one in group}
        plain = baselines.beside(names) if baselines else {}
        for rows in plain.values():
            result, metainfo = result_of(rows, task)
            results.append(replace(result, trained=False))
            ceilings[result.name] = ceiling_of(
                group[0].test_set, result.streams, task, metainfo
            )
        remarks = [*baselines.remarks(names)] if baselines else []
        remarks += _check_subsets(subsets or {}, results[0])
        reports.append(
            Report(
                _title(task, results[0]),
                results,
                ceilings={k: v for k, v in ceilings.items() if v is not None},
                seconds={k: v for k, v in seconds.items() if v is not None},
                subsets=subsets,
                with_paper=with_paper,
                remarks=[*remarks, *([f"Made by: {made_by}"] if made_by else [])],
            )
        )
    return reports


def result_of(
    runs: Sequence[TestedRun], task: str
) -> tuple[MethodResult, dict[str, Any]]:
    """Clips that one method got right, and the metainfo of its first predictions.

    Args:
        runs: of one row: its seeds, and the folds of each.
        task: whose answers count.

    Raises:
        InputError: a clip was tested in two folds, or seeds on other clips.
    """
    one = runs[0]
    folds: dict[str, int] = {}
    by_seed: dict[int, list[Predictions]] = {}
    for run in runs:
        found = load_predictions(run.predictions)
        by_seed.setdefault(run.seed, []).append(found)
        if run.fold is not None:
            folds |= dict.fromkeys(found.ids, run.fold)
    pooled = {seed: pool(parts) for seed, parts in by_seed.items()}
    metainfo = by_seed[runs[0].seed][0].metainfo
    result = collect(one.name, one.streams, pooled, task, folds or None)
    return result, metainfo


def read_subset(path: Path) -> frozenset[str]:
    """Ids of clips, one a line; what follows a # is a remark.

    Raises:
        AnnotationError: the file has none.
    """
    lines = (line.partition("#")[0].strip() for _, line in read_lines(path))
    found = frozenset(line for line in lines if line)
    if not found:
        raise AnnotationError(f"{path} names no clip; expected an id a line")
    return found


def _check_subsets(
    subsets: Mapping[str, Collection[str]], first: MethodResult
) -> list[str]:
    """Remarks on ids that were not tested; a subset of such alone is refused."""
    remarks = []
    for name, ids in subsets.items():
        strange = sorted({*ids} - {*first.ids})
        if strange:
            remarks.append(
                f"{name}: {len(strange)} of its {len(ids)} clips were not tested, the"
                f" first is {strange[0]!r}."
            )
        if not {*ids} & {*first.ids}:
            raise InputError(
                f"--subset {name}: none of its {len(ids)} clips was tested, such as"
                f" {sorted(ids)[0]!r}; expected ids as {first.ids[0]!r}"
            )
    return remarks


def _mean_seconds(runs: Sequence[Run]) -> float | None:
    """Seconds of training and testing of a run, on average; None where not known."""
    found = [seconds_of(run) for run in runs]
    if not all(found):
        return None
    return sum(sum(one.values()) for one in found) / len(found)


def _title(task: str, result: MethodResult) -> str:
    seeds = f"{len(result.seeds)} seed{'s' if len(result.seeds) > 1 else ''}"
    folds = f"{len({*result.folds})} folds, " if result.folds else ""
    return f"{task}, {folds}{seeds}"


def ceiling_of(
    test_set: Mapping[str, Any],
    streams: Sequence[str],
    task: str,
    metainfo: Mapping[str, Any],
) -> float | None:
    """Best accuracy that the streams allow, where the data has ceilings.json.

    Args:
        test_set: config of the dataset.
        streams: what a model is shown of it.
        task: of the table.
        metainfo: of the predictions; with the source of the questions, and metrics
            whose names say whether actions were seen or anticipated.
    """
    root = test_set.get("data_root")
    file = Path(root, "ceilings.json") if root else None
    if file is None or not file.is_file():
        return None
    keys: list[Any] = ["splits", test_set.get("split")]
    if any("tau_a=" in key for key in metainfo.get("metrics") or {}):
        keys += ["anticipation", "top1"]
    keys += [task, _seen(streams, metainfo.get("question_source"))]
    bound = read_json(file)
    for key in keys:
        if not isinstance(bound, Mapping):
            raise AnnotationError(f"{file}: the keys {keys} lead to {shown(bound)}")
        bound = bound.get(key, {})
    if isinstance(bound, Mapping) and not bound:
        return None
    if type(bound) not in (int, float):
        raise AnnotationError(f"{file}: {keys} is {shown(bound)}; expected percent")
    return float(bound)


def _seen(streams: Sequence[str], source: str | None) -> str:
    """Name in ceilings.json of what a model is shown."""
    media = [name for name in streams if name != "text"]
    seen = media[0] if len(media) == 1 else "both"
    if "text" not in streams:
        return seen
    return f"{seen}+{source}" if media else f"text_{source}"
