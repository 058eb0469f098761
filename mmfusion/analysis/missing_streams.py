"""Accuracy where some of the clips lack some of the streams.

``s`` seeds, ``n`` clips. A model answers each clip with every subset of its streams. Of
a test in which a share of the clips have one subset alone, and the others all streams,
the accuracy is the mean over all choices of those clips: no draw adds to its error.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmfusion.analysis.execution import LOG, RunCommand, RunFailed, failure_text
from mmfusion.analysis.experiments import Run
from mmfusion.analysis.reliance import Kept, subsets
from mmfusion.analysis.reports import ceiling_of, result_of
from mmfusion.analysis.tables import NONE, Grid
from mmfusion.evaluation.functional import Interval, accuracy_interval
from mmfusion.evaluation.statistics import MethodResult, PairTest, compare_pairs

SHARES = (0, 25, 50, 75, 100)  # percent of the clips that have only a subset
FOLDER = "missing"  # of a run: predictions of each subset
TRAINED, CEILING = "trained for it", "ceiling"


@dataclass(frozen=True)
class SubsetRun:
    """Test of a run that keeps some of its streams, as a row of its own.

    Attributes:
        run: the run. streams: those that it keeps.
    """

    run: Run
    streams: Kept

    @property
    def name(self) -> str:
        """Name of the row."""
        return f"{self.run.name} of {' + '.join(self.streams)}"

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return self.run.seed

    @property
    def fold(self) -> int | None:
        """Fold of the run."""
        return self.run.fold

    @property
    def predictions(self) -> Path:
        """File that ``tools/analysis/stream_reliance.py --dump`` writes."""
        return (
            self.run.folder / FOLDER / f"absent_{'_'.join(sorted(self.streams))}.json"
        )


@dataclass(frozen=True)
class SubsetAccuracy:
    """One subset of the streams.

    Attributes:
        kept: the subset.
        accuracy: by share of the clips that have only it, percent.
        trained: name of the model that was trained for it, None where there is none.
        trained_accuracy: the same of two models, one for the whole clips; by share.
        test: model with the subset, minus the one trained for it, at 100 %.
        ceiling: by share, percent; empty where it is not known.
    """

    kept: Kept
    accuracy: Mapping[int, Interval]
    trained: str | None
    trained_accuracy: Mapping[int, Interval]
    test: PairTest | None
    ceiling: Mapping[int, float]


def mixed(
    whole: NDArray[np.bool_], part: NDArray[np.bool_], share: int
) -> NDArray[np.float64]:
    """Mean answers, 0 to 1, where ``share`` percent of the clips have a part alone.

    Args:
        whole, part: (s, n) answers to the same clips with all streams, with a part.
    """
    return whole + share / 100 * (part.astype(float) - whole)


def predict_each_subset(
    runs: Sequence[Run], tools: Path, run_command: RunCommand
) -> Iterator[str]:
    """Test trained runs with every subset of their streams, where it was not done.

    Yields a line on what was done.

    Raises:
        RunFailed: a test ended with an error.
    """
    for run in runs:
        done = run.folder / FOLDER / "reliance.json"
        if done.is_file() and done.stat().st_mtime >= run.best.stat().st_mtime:
            continue
        tool = tools / "analysis" / "stream_reliance.py"
        command = [sys.executable, str(tool), str(run.folder), "--ways", "absent"]
        command += ["--dump", "--out", str(run.folder / FOLDER)]
        log = run.folder / LOG
        code = run_command(command, log, lambda text: None)
        if code != 0:
            raise RunFailed(failure_text(command, log, code), code)
        yield f"tested {run.folder} with each subset of its streams"


class MissingReport:
    """Table of one fused model.

    Args:
        runs: of the model: its seeds, and the folds of each.
        others: runs of models that are trained for a subset of its streams, or all.
        task: whose accuracy the table has.
        made_by: the command, for the notes.
    """

    def __init__(
        self, runs: Sequence[Run], others: Sequence[Run], task: str, made_by: str
    ) -> None:
        model = runs[0].experiment
        self.name, self.task, self.made_by = model.name, task, made_by
        rivals = _best_by_streams(
            [run for run in others if run.name != model.name], task
        )
        found: dict[Kept, MethodResult] = {}
        bounds: dict[Kept, float | None] = {}
        for kept in subsets(model.streams):
            rows = [SubsetRun(run, kept) for run in runs]
            found[kept], metainfo = result_of(rows, task)
            bounds[kept] = ceiling_of(model.test_set, kept, task, metainfo)
        tested = [kept for kept in found if frozenset(kept) in rivals]
        pairs = [(found[kept], rivals[frozenset(kept)]) for kept in tested]
        tests = dict(zip(tested, compare_pairs(pairs), strict=True))
        self.result = found[model.streams]
        self.rows = [
            _accuracies(kept, found, rivals, tests.get(kept), bounds) for kept in found
        ]

    def grids(self) -> list[Grid]:
        """One table: a row each for the model, for what is trained for it, the most."""
        head = ["Streams left", "model"]
        head += [f"{share} % of the clips" for share in SHARES]
        head += ["minus trained", "95 % interval", "p", "Holm"]
        rows = [cells for one in self.rows for cells in _cells(one, self.name)]
        seeds, ids = len(self.result.seeds), len(self.result.ids)
        title = f"{self.name}: {self.task}, n = {ids}"
        title += f", {seeds} seed{'s' if seeds > 1 else ''}"
        if self.result.folds is not None:
            title += f", {len({*self.result.folds})} folds"
        return [Grid(title, head, rows)]

    def notes(self) -> list[str]:
        """Meaning of rows and columns."""
        return [
            "Columns: share of the clips that have only the streams of the row, the"
            " others have all; the mean over every choice of such clips, with 95 %"
            " intervals over clips, and seeds and folds where there are several.",
            f"{TRAINED}: at 100 % the model of those streams alone; at less it answers"
            " the clips that lack streams, and a model trained on whole clips the"
            " others, where there is one. minus trained: at 100 %, on the same clips;"
            " p: exact McNemar, or permutation over clips with several seeds.",
            f"Made by: {self.made_by}",
        ]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, percent and points."""
        return {
            "model": self.name,
            "task": self.task,
            "num_clips": len(self.result.ids),
            "seeds": list(self.result.seeds),
            "subsets": [
                {
                    "kept": list(one.kept),
                    "accuracy": {k: v._asdict() for k, v in one.accuracy.items()},
                    "trained": one.trained,
                    "trained_accuracy": {
                        k: v._asdict() for k, v in one.trained_accuracy.items()
                    },
                    "minus_trained": one.test and one.test.difference._asdict(),
                    "p_value": one.test and one.test.p_value,
                    "p_holm": one.test and one.test.p_holm,
                    "ceiling": dict(one.ceiling),
                }
                for one in self.rows
            ],
            "notes": self.notes(),
        }


def _best_by_streams(
    runs: Sequence[Run], task: str
) -> dict[frozenset[str], MethodResult]:
    """The better one of the models that are trained for the same streams."""
    best: dict[frozenset[str], MethodResult] = {}
    for name in dict.fromkeys(run.name for run in runs):
        result, _ = result_of([run for run in runs if run.name == name], task)
        key = frozenset(result.streams)
        if key not in best or result.accuracy > best[key].accuracy:
            best[key] = result
    return best


def _accuracies(
    kept: Kept,
    found: Mapping[Kept, MethodResult],
    rivals: Mapping[frozenset[str], MethodResult],
    test: PairTest | None,
    bounds: Mapping[Kept, float | None],
) -> SubsetAccuracy:
    """One subset's row."""
    streams = next(iter(found))
    whole, part = found[streams], found[kept]
    shares = SHARES if kept != streams else SHARES[:1]
    rival, for_whole = rivals.get(frozenset(kept)), rivals.get(frozenset(streams))
    trained = {}
    if rival is not None and for_whole is not None:
        trained = {x: _interval(for_whole, rival, x) for x in shares}
    elif rival is not None:
        trained = {SHARES[-1]: _interval(rival, rival, SHARES[-1])}
    bound, most = bounds[kept], bounds[streams]
    ceiling = {}
    if bound is not None and most is not None:
        ceiling = {x: most + x / 100 * (bound - most) for x in shares}
    accuracy = {x: _interval(whole, part, x) for x in shares}
    name = None if rival is None else rival.name
    return SubsetAccuracy(kept, accuracy, name, trained, test, ceiling)


def _interval(whole: MethodResult, part: MethodResult, share: int) -> Interval:
    return accuracy_interval(
        mixed(whole.correct, part.correct, share), folds=whole.folds
    )


def _cells(one: SubsetAccuracy, name: str) -> list[list[str]]:
    """Rows of a subset: the model, what is trained for it, the ceiling."""
    left = " + ".join(one.kept)
    rows = [[left, name, *(_cell(one.accuracy.get(x)) for x in SHARES)]]
    if one.test is None:
        rows[0] += [NONE] * 4
    else:
        gap = one.test.difference
        rows[0] += [f"{gap.mean:+.2f}", f"{gap.low:+.1f} to {gap.high:+.1f}"]
        rows[0] += [f"{one.test.p_value:.4f}", f"{one.test.p_holm:.4f}"]
    if one.trained is not None:
        cells = [_cell(one.trained_accuracy.get(x)) for x in SHARES]
        rows.append([left, f"{TRAINED}: {one.trained}", *cells, *[NONE] * 4])
    if one.ceiling:
        known = [one.ceiling.get(x) for x in SHARES]
        cells = [NONE if x is None else f"{x:.1f}" for x in known]
        rows.append([left, CEILING, *cells, *[NONE] * 4])
    return rows


def _cell(interval: Interval | None) -> str:
    if interval is None:
        return NONE
    return f"{interval.mean:.1f} ({interval.low:.1f} to {interval.high:.1f})"
