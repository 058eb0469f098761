"""Rows that no table of fusions lacks: late fusion, and linear models of each stream.

A row's predictions are files as ``tools/test.py --dump`` writes them, in
``<work root>/<row>/[fold<K>/]seed<S>/predictions.json``; a linear model draws nothing
at random, and its one file, without ``seed<S>``, stands for every seed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmfusion.analysis.baselines.clips import ClipReader
from mmfusion.analysis.baselines.files import (
    LATE,
    LINEAR,
    LINEAR_SUM,
    META,
    linear_file,
    save_baseline,
)
from mmfusion.analysis.baselines.parts import late_parts, sums_of
from mmfusion.analysis.baselines.streams import STREAMS
from mmfusion.analysis.experiments import (
    PREDICTIONS,
    Experiment,
    Run,
    groups,
)
from mmfusion.analysis.tables import common_suffix
from mmfusion.evaluation.late_fusion import late_fusion
from mmfusion.evaluation.predictions import load_predictions
from mmfusion.utils.errors import InputError, MMFusionError

_Place = tuple[tuple[str, ...], int | None]  # streams, fold


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


def _late_rows(
    group: Sequence[Experiment],
    runs: Sequence[Run],
    notes: list[str],
    reader: ClipReader,
    tell: Callable[[str], None],
) -> Iterator[BaselineRun]:
    suffix = common_suffix([one.name for one in group])
    wanted = late_parts(group)
    notes += [
        f"No late fusion of {' and '.join(streams)}: the table has no model of each"
        " alone."
        for streams in sums_of(group)
        if streams not in wanted.values()
    ]
    by_key = {run.key: run for run in runs}
    for parts, streams in wanted.items():
        name = LATE if len(wanted) == 1 else f"{LATE}_of_{'_'.join(parts)}"
        notes.append(
            f"{name}: mean of the probabilities of {' and '.join(parts)}, of the same"
            " seed (and fold); nothing is weighted or scaled."
        )
        for seed, fold in dict.fromkeys((run.seed, run.fold) for run in runs):
            files = [by_key[part, seed, fold].predictions for part in parts]
            row = _baseline_run(name + suffix, LATE, streams, runs, seed, fold)
            made = late_fusion([load_predictions(file) for file in files])
            save_baseline(
                row.predictions, made, dict(kind=LATE, parts=[*map(str, files)])
            )
            yield row


def _linear_rows(
    group: Sequence[Experiment],
    runs: Sequence[Run],
    notes: list[str],
    reader: ClipReader,
    tell: Callable[[str], None],
) -> Iterator[BaselineRun]:
    suffix = common_suffix([one.name for one in group])
    first = runs[0].seed
    folds = [run.fold for run in runs if run.key[:2] == (runs[0].name, first)]
    done: dict[_Place, BaselineRun] = {}
    for stream in sorted({stream for one in group for stream in one.streams}):
        tell(f"linear baseline of {stream}")
        rows, strengths = dict[_Place, BaselineRun](), list[float]()
        try:
            for fold in folds:
                source = _source(stream, group, runs, first, fold)
                name = f"{LINEAR}_{stream}{suffix}"
                row = _baseline_run(name, LINEAR, (stream,), runs, None, fold)
                beside = load_predictions(source.predictions)
                made = linear_file(
                    row.predictions, source.config, stream, beside, reader
                )
                rows[(stream,), fold] = row
                strengths += made.metainfo[META]["strength"].values()
        except (MMFusionError, OSError) as error:
            notes.append(f"No linear {stream}: {str(error).splitlines()[0]}")
            continue
        done |= rows
        low, high = (f"{end(strengths):.3g}" for end in (min, max))
        notes.append(
            f"{LINEAR}_{stream}: logistic regression, standardised, of"
            f" {STREAMS[stream].says}; C by validation log loss,"
            f" {low if low == high else f'{low} to {high}'}; one fit for all seeds."
        )
    done |= _linear_sums(group, runs, done, notes)
    for row in done.values():
        for seed in dict.fromkeys(run.seed for run in runs):
            yield replace(row, seed=seed)


def _linear_sums(
    group: Sequence[Experiment],
    runs: Sequence[Run],
    linear: Mapping[_Place, BaselineRun],
    notes: list[str],
) -> dict[_Place, BaselineRun]:
    """Rows of added linear models, by streams and fold."""
    suffix = common_suffix([one.name for one in group])
    found, wanted = {}, sums_of(group)
    for streams in wanted:
        name = LINEAR_SUM
        if len(wanted) > 1:
            name += f"_of_{'_'.join(streams)}"
        for fold in {fold: None for _, fold in linear}:
            parts = [linear.get(((stream,), fold)) for stream in streams]
            files = [one.predictions for one in parts if one is not None]
            if len(files) == len(streams):
                row = _baseline_run(
                    name + suffix, LINEAR_SUM, streams, runs, None, fold
                )
                made = late_fusion([load_predictions(file) for file in files])
                says = dict(kind=LINEAR_SUM, streams=[*streams])
                save_baseline(row.predictions, made, says)
                found[streams, fold] = row
        if streams in {streams for streams, _ in found}:
            notes.append(f"{name}: mean of the linear models' probabilities.")
    return found


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
    if name in {run.name for run in runs}:
        raise InputError(
            f"a config is called {name!r}, as the row is: rename it, so that neither"
            " overwrites the other's predictions"
        )
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
