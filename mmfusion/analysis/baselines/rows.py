"""Rows that no table of fusions lacks: late fusion, and linear models of each stream.

A row's predictions are files as ``tools/test.py --dump`` writes them, in
``<work root>/<row>/[fold<K>/]seed<S>/predictions.json``; a linear model draws nothing
at random, and its one file, without ``seed<S>``, stands for every seed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.analysis.baselines.clips import ClipReader, Clips, vectors
from mmfusion.analysis.baselines.linear import LinearModel, fit_linear
from mmfusion.analysis.baselines.streams import STREAMS
from mmfusion.analysis.experiments import (
    PREDICTIONS,
    Experiment,
    Run,
    groups,
    read_config,
)
from mmfusion.analysis.tables import common_suffix
from mmfusion.evaluation.late_fusion import late_fusion
from mmfusion.evaluation.predictions import (
    Predictions,
    load_predictions,
    save_predictions,
)
from mmfusion.evaluation.report import report_of
from mmfusion.utils.errors import InputError, MMFusionError

LATE, LINEAR, LINEAR_SUM = "late_fusion", "linear", "linear_sum"
_META = "baseline"  # key of the metainfo


@dataclass(frozen=True)
class BaselineRun:
    """Predictions of a row that no config trains, beside the runs of a table.

    Attributes:
        name: of the row. kind: one of ``LATE``, ``LINEAR``, ``LINEAR_SUM``.
        streams: that it sees.
        beside: name of an experiment in whose table it stands.
        seed, fold: as of a run.
        predictions: file of its scores.
    """

    name: str
    kind: str
    streams: tuple[str, ...]
    beside: str
    seed: int
    fold: int | None
    predictions: Path


@dataclass(frozen=True)
class Baselines:
    """Rows of all tables, and what there is to say about them.

    Attributes:
        runs: of every row, seed and fold.
        notes: by name of an experiment, sentences for its table.
    """

    runs: list[BaselineRun]
    notes: dict[str, list[str]]

    def beside(self, names: Collection[str]) -> dict[str, list[BaselineRun]]:
        """Runs by row, of the table that has experiments of these names."""
        found: dict[str, list[BaselineRun]] = {}
        for run in self.runs:
            if run.beside in names:
                found.setdefault(run.name, []).append(run)
        return found

    def remarks(self, names: Collection[str]) -> list[str]:
        """Sentences for the table that has experiments of these names."""
        return [
            line for name in self.notes if name in names for line in self.notes[name]
        ]


def baselines_of(
    runs: Sequence[Run], tell: Callable[[str], None] = lambda text: None
) -> Baselines:
    """Write the predictions of late fusion and of linear models beside tested runs.

    What cannot be made, as where the data is gone, is a note.

    Args:
        runs: complete ones, of all seeds and folds.
        tell: is told what is being done.
    """
    found = Baselines([], {})
    experiments = {run.experiment.name: run.experiment for run in runs}
    reader = ClipReader()
    for group in groups(list(experiments.values())):
        own = [run for run in runs if run.experiment in group]
        notes = found.notes.setdefault(group[0].name, [])
        for maker in (_late_rows, _linear_rows):
            try:
                found.runs.extend(maker(group, own, notes, reader, tell))
            except (MMFusionError, OSError) as error:
                what = "late fusion" if maker is _late_rows else "linear rows"
                reason = str(error).splitlines()[0]
                notes.append(f"No {what}: {reason}")
    return found


def single_of(
    stream: str, fusion: Experiment | None, group: Sequence[Experiment]
) -> Experiment | None:
    """The model of one stream alone that late fusion adds for a fusion.

    The fusion's own stage 1 comes first, then the first model with the same encoder,
    then the first of that stream; None where the table has none.
    """
    alone = [one for one in group if one.streams == (stream,)]
    if fusion is not None:
        stage1 = [
            name
            for key, name in fusion.stage1.items()
            if key.startswith(f"model.encoders.{stream}.")
        ]
        same = fusion.encoders.get(stream)
        alone.sort(
            key=lambda one: (one.name not in stage1, one.encoders.get(stream) != same)
        )
    return alone[0] if alone else None


def _sums(
    group: Sequence[Experiment],
) -> dict[tuple[str, ...], list[Experiment | None]]:
    """By the streams of a sum, the fusions that see the same; None without any."""
    found: dict[tuple[str, ...], list[Experiment | None]] = {}
    for one in group:
        if len(one.streams) > 1:
            found.setdefault(tuple(sorted(one.streams)), []).append(one)
    single = sorted({one.streams[0] for one in group if len(one.streams) == 1})
    if not found and len(single) > 1:
        found[tuple(single)] = [None]
    return found


def _late_rows(
    group: Sequence[Experiment],
    runs: Sequence[Run],
    notes: list[str],
    reader: ClipReader,
    tell: Callable[[str], None],
) -> Iterator[BaselineRun]:
    suffix = common_suffix([one.name for one in group])
    wanted: dict[tuple[str, ...], tuple[str, ...]] = {}  # parts -> streams
    for streams, fusions in _sums(group).items():
        for fusion in fusions:
            found = {stream: single_of(stream, fusion, group) for stream in streams}
            parts = tuple(one.name for one in found.values() if one is not None)
            if len(parts) == len(streams):
                wanted[parts] = streams
        if streams not in wanted.values():
            notes.append(
                f"No late fusion of {_and(streams)}: the table has no model of each"
                " alone."
            )
    by_key = {run.key: run for run in runs}
    for parts, streams in wanted.items():
        name = LATE if len(wanted) == 1 else f"{LATE}_of_{'_'.join(parts)}"
        notes.append(
            f"{name}: mean of the probabilities of {_and(parts)}, of the same seed"
            " (and fold); nothing is weighted or scaled."
        )
        for seed, fold in dict.fromkeys((run.seed, run.fold) for run in runs):
            files = [by_key[part, seed, fold].predictions for part in parts]
            row = _baseline_run(name + suffix, LATE, streams, runs, seed, fold)
            made = late_fusion([load_predictions(file) for file in files])
            _save(row.predictions, made, dict(kind=LATE, parts=[*map(str, files)]))
            yield row


def _linear_rows(
    group: Sequence[Experiment],
    runs: Sequence[Run],
    notes: list[str],
    reader: ClipReader,
    tell: Callable[[str], None],
) -> Iterator[BaselineRun]:
    suffix = common_suffix([one.name for one in group])
    sums = _sums(group)
    streams = sorted({stream for one in group for stream in one.streams})
    first, done = runs[0].seed, []
    folds = [run.fold for run in runs if run.seed == first]
    seeds = [*dict.fromkeys(run.seed for run in runs)]
    for stream in streams:
        tell(f"linear baseline of {stream}")
        try:
            for fold in dict.fromkeys(folds):
                source = _source(stream, group, runs, first, fold)
                run = _baseline_run(
                    f"{LINEAR}_{stream}{suffix}", LINEAR, (stream,), runs, None, fold
                )
                _write_linear(run, source, stream, reader)
                done.append(run)
        except (MMFusionError, OSError) as error:
            notes.append(f"No linear {stream}: {str(error).splitlines()[0]}")
            done = [run for run in done if run.streams != (stream,)]
            continue
        chosen = [
            load_predictions(run.predictions).metainfo[_META]["strength"]
            for run in done
            if run.streams == (stream,)
        ]
        notes.append(
            f"{LINEAR}_{stream}: logistic regression, standardised, of"
            f" {STREAMS[stream].says}; C by validation log loss, {_range(chosen)}; one"
            " fit, the same for every seed."
        )
    known = {(run.streams, run.fold): run for run in done}
    for wanted in sums:
        if not all(((s,), folds[0]) in known for s in wanted):
            continue
        name = LINEAR_SUM if len(sums) == 1 else f"{LINEAR_SUM}_of_{'_'.join(wanted)}"
        for fold in dict.fromkeys(folds):
            files = [known[(s,), fold].predictions for s in wanted]
            run = _baseline_run(name + suffix, LINEAR_SUM, wanted, runs, None, fold)
            made = late_fusion([load_predictions(file) for file in files])
            _save(run.predictions, made, dict(kind=LINEAR_SUM, streams=[*wanted]))
            done.append(run)
        notes.append(f"{name}: mean of the linear models' probabilities.")
    for run in done:
        for seed in seeds:
            yield BaselineRun(**{**vars(run), "seed": seed})


def _source(
    stream: str,
    group: Sequence[Experiment],
    runs: Sequence[Run],
    seed: int,
    fold: int | None,
) -> Run:
    """The run whose clips a linear model sees: a fusion's before a single stream's."""
    with_stream = [one for one in group if stream in one.streams]
    one = max(with_stream, key=lambda one: len(one.streams))
    (found,) = [run for run in runs if run.key == (one.name, seed, fold)]
    return found


def _baseline_run(
    name: str,
    kind: str,
    streams: Sequence[str],
    runs: Sequence[Run],
    seed: int | None,
    fold: int | None,
) -> BaselineRun:
    folder = runs[0].work_root / name
    folder = folder if fold is None else folder / f"fold{fold}"
    folder = folder if seed is None else folder / f"seed{seed}"
    return BaselineRun(
        name,
        kind,
        tuple(streams),
        runs[0].experiment.name,
        seed or 0,
        fold,
        folder / PREDICTIONS,
    )


def _write_linear(
    row: BaselineRun, source: Run, stream: str, reader: ClipReader
) -> None:
    """Fit and predict, unless the file has the same already."""
    beside = load_predictions(source.predictions)
    config = read_config(source.experiment.path, source.options, source.folder)
    made = dict(
        kind=LINEAR,
        stream=stream,
        numbers=STREAMS[stream].says if stream in STREAMS else "",
        of={
            key: str(config.train_dataloader.dataset.get(key))
            for key in ("data_root", "ann_file", "split", "questions")
        },
    )
    if _is_done(row.predictions, beside, made):
        return
    clips = reader.splits(config, stream)
    predictions, models = linear_predictions(clips, stream, beside)
    strength = {task: model.strength for task, model in models.items()}
    _save(row.predictions, predictions, {**made, "strength": strength})


def _is_done(path: Path, beside: Predictions, made: Mapping[str, Any]) -> bool:
    if not path.is_file():
        return False
    old = load_predictions(path)
    known = old.metainfo.get(_META)
    return (
        isinstance(known, dict)
        and {**known, **made} == known
        and set(old.ids) == set(beside.ids)
        and {t: s.shape[1] for t, s in old.score.items()}
        == {t: s.shape[1] for t, s in beside.score.items()}
    )


def linear_predictions(
    clips: Mapping[str, Clips], stream: str, beside: Predictions
) -> tuple[Predictions, dict[str, LinearModel]]:
    """Predictions of a linear model on the clips that another model was tested on.

    Args:
        clips: of ``train``, ``test`` and, where it may choose, ``val``.
        stream: of the numbers.
        beside: predictions that give ids, labels, tasks and classes.

    Returns:
        The predictions, and the model of each task.
    """
    make = vectors(stream, clips["train"])
    places = {name: place for place, name in enumerate(clips["test"].ids)}
    lacking = [name for name in beside.ids if name not in places]
    if lacking:
        raise InputError(
            f"{len(lacking)} tested clips are not in the test set now, such as"
            f" {lacking[0]!r}"
        )
    x = {split: make(found) for split, found in clips.items()}
    test = x["test"][[places[name] for name in beside.ids]]
    score, models = {}, {}
    for task, other in beside.score.items():
        train = clips["train"].labelled(x["train"], task)
        val = clips["val"].labelled(x["val"], task) if "val" in clips else None
        val = val if val is not None and len(val.labels) else None
        models[task] = fit_linear(train, val, other.shape[1])
        score[task] = models[task].probabilities(test).astype(np.float32)
    return Predictions(beside.ids, score, beside.gt, beside.metainfo), models


def _save(path: Path, made: Predictions, says: Mapping[str, Any]) -> None:
    metainfo = {
        key: value
        for key, value in made.metainfo.items()
        if key not in ("metrics", "checkpoint", "report", _META)
    }
    found = Predictions(made.ids, made.score, made.gt, {**metainfo, _META: dict(says)})
    found.metainfo["report"] = report_of(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_predictions(path, found)


def _and(names: Sequence[str]) -> str:
    """Names as a sentence has them: a, b and c."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _range(chosen: Sequence[Mapping[str, float]]) -> str:
    values = sorted({value for one in chosen for value in one.values()})
    low, high = f"{values[0]:.2g}", f"{values[-1]:.2g}"
    return low if low == high else f"{low} to {high}"
