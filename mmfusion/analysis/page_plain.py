"""Rows of a page that no training makes: late fusion, linear models, their sum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mmfusion.analysis.baselines.clips import ClipReader
from mmfusion.analysis.baselines.files import LINEAR, linear_file
from mmfusion.analysis.baselines.parts import late_parts, sums_of
from mmfusion.analysis.experiments import Experiment, read_experiment
from mmfusion.analysis.page_methods import Method, in_order, stream_name
from mmfusion.evaluation.functional import accuracy_interval
from mmfusion.evaluation.late_fusion import late_fusion
from mmfusion.evaluation.predictions import Predictions
from mmfusion.evaluation.statistics import (
    MethodResult,
    PairTest,
    collect,
    compare_pairs,
    plain_rivals,
)
from mmfusion.utils.errors import MMFusionError
from mmfusion.visualization.report import PlainRow

LATE_FUSION = "Late fusion"
LINEAR_SUM = "Linear sum"


@dataclass(frozen=True)
class PlainPart:
    """Rows that no training makes, and the sentences that a page has about them.

    Attributes:
        rows: the best one first.
        summary: a sentence for each fusion: does it beat the sum of its parts?
        notes: how the rows are made, what lacks, and how other models compare.
    """

    rows: tuple[PlainRow, ...]
    summary: tuple[str, ...]
    notes: tuple[str, ...]


def plain_part(methods: Sequence[Method], task: str) -> PlainPart:
    """Late fusion of the page's models, and linear models of their streams.

    Predictions of linear models are kept in the folder of the run that sees most
    streams, ``linear_<stream>.json``.

    Args:
        methods: of the page.
        task: whose accuracy.
    """
    notes: list[str] = []
    results = _late(methods, task) + _linear(methods, task, notes)
    results.sort(key=lambda result: -result.accuracy)
    tests = compare_pairs(plain_rivals([*(m.result for m in methods), *results]))
    fusions = {one.name for one in methods if len(one.result.streams) > 1}
    late = [t for t in tests if t.first in fusions and t.second.startswith(LATE_FUSION)]
    others = [verdict(test) for test in tests if test not in late]
    return PlainPart(
        tuple(_row(result) for result in results),
        tuple(verdict(test) for test in late),
        (*notes, *others),
    )


def verdict(test: PairTest) -> str:
    """Sentence on whether the first beats the second, by the paired interval."""
    return (
        f"{test.first} {test.verdict} {test.second[0].lower()}{test.second[1:]}:"
        f" {test.difference.mean:+.1f} points (95 % interval {test.difference.low:+.1f}"
        f" to {test.difference.high:+.1f})."
    )


def _row(result: MethodResult) -> PlainRow:
    return PlainRow(
        result.name,
        tuple(stream_name(one) for one in in_order(result.streams)),
        accuracy_interval(result.correct),
        len(result.ids),
        len(result.seeds),
    )


def _late(methods: Sequence[Method], task: str) -> list[MethodResult]:
    by_config = {method.first.name: method for method in methods}
    wanted = late_parts([_experiment(method) for method in methods])
    found = []
    for parts, streams in wanted.items():
        chosen = [by_config[part] for part in parts]
        name = LATE_FUSION
        if len(wanted) > 1:
            name += f" ({' + '.join(one.name for one in chosen)})"
        by_seed = [{run.seed: run.predictions for run in one.runs} for one in chosen]
        seeds = methods[0].result.seeds
        if all({*seeds} <= one.keys() for one in by_seed):
            made = {seed: late_fusion([one[seed] for one in by_seed]) for seed in seeds}
            found.append(_plain(name, streams, made, task))
    return found


def _linear(
    methods: Sequence[Method], task: str, notes: list[str]
) -> list[MethodResult]:
    reader, found = ClipReader(), dict[str, Predictions]()
    streams = {stream for one in methods for stream in one.result.streams}
    for stream in in_order(streams):
        seeing = [one.first for one in methods if stream in one.result.streams]
        run = max(seeing, key=lambda run: len(run.streams))
        path = run.folder / f"{LINEAR}_{stream}.json"
        try:
            found[stream] = linear_file(
                path, run.config, stream, run.predictions, reader
            )
        except (MMFusionError, OSError) as error:
            reason = str(error).splitlines()[0]
            notes.append(f"No linear model of {stream_name(stream)}: {reason}")
    made: dict[str, tuple[tuple[str, ...], Predictions]] = {
        f"Linear {stream_name(stream)}": ((stream,), one)
        for stream, one in found.items()
    }
    for wanted in sums_of([_experiment(method) for method in methods]):
        if {*wanted} <= found.keys():
            name = LINEAR_SUM
            if len(streams) > len(wanted):
                name += f" ({' + '.join(map(stream_name, in_order(wanted)))})"
            made[name] = wanted, late_fusion([found[s] for s in wanted])
    seeds = methods[0].result.seeds
    return [
        _plain(name, own, dict.fromkeys(seeds, one), task)
        for name, (own, one) in made.items()
    ]


def _plain(
    name: str,
    streams: Sequence[str],
    by_seed: Mapping[int, Predictions],
    task: str,
) -> MethodResult:
    return replace(collect(name, streams, by_seed, task), trained=False)


def _experiment(method: Method) -> Experiment:
    return read_experiment(method.first.config_path, {})
