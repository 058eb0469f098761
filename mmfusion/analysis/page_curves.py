"""Learning curves and stream weights over training, from the logs of runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmfusion.analysis.trained_runs import read_scalars
from mmfusion.visualization.report import Chart, Series, line_chart

Curve = tuple[str, int, Path]  # name of a model, its colour, its folder
_ALPHA = "alpha_"
_MOST_POINTS = 400  # of a line


def training_charts(curves: Sequence[Curve], task: str) -> Iterator[Chart]:
    """Loss and accuracy over epochs, of each model whose log is there."""
    records = [(name, colour, read_scalars(path)) for name, colour, path in curves]
    for key, title, label, text in (
        ("loss", "Loss in training", "loss", ""),
        (
            f"{task}/top1",
            "Accuracy on the validation clips",
            "right (%)",
            "The best epoch was tested.",
        ),
    ):
        found = [
            (name, colour, points)
            for name, colour, own in records
            if (points := curve_points(own, key))
        ]
        if found:
            lines = [Series(points, colour) for _, colour, points in found]
            ends = (0.0, 102.0) if key != "loss" else None
            svg = line_chart(lines, x_label="epoch", y_label=label, y_range=ends)
            legend = tuple((name, colour) for name, colour, _ in found)
            yield Chart(title, svg, legend, text)


def alpha_charts(curves: Sequence[Curve]) -> Iterator[Chart]:
    """Weight of each stream over epochs, a chart for each model that has weights."""
    for name, _, path in curves:
        records = read_scalars(path)
        logged = dict.fromkeys(key for record in records for key in record)
        keys = [key for key in logged if key.startswith(_ALPHA)]
        if not keys:
            continue
        lines = []
        for number, key in enumerate(keys):
            points = [(x, 100.0 * y) for x, y in curve_points(records, key)]
            lines.append(Series(points, number))
        svg = line_chart(
            lines, x_label="epoch", y_label="weight (%)", y_range=(0.0, 102.0)
        )
        legend = tuple((key.removeprefix(_ALPHA), n) for n, key in enumerate(keys))
        yield Chart(f"{name}: weights over training", svg, legend)


def curve_points(
    records: Sequence[dict[str, Any]], key: str
) -> list[tuple[float, float]]:
    """(epoch, value) of what was logged under a key; what was redone counts once."""
    steps = _steps_per_epoch(records)
    found: dict[float, float] = {}
    for record in records:
        value = record.get(key)
        if type(value) not in (int, float):
            continue
        if "iter" in record:
            found[float(record["iter"]) / steps] = float(value)  # type: ignore
        elif "step" in record:
            found[float(record["step"])] = float(value)  # type: ignore
    points = sorted(found.items())
    return points[:: max(1, len(points) // _MOST_POINTS)]


def _steps_per_epoch(records: Sequence[dict[str, Any]]) -> float:
    """Iterations of an epoch: the last logged iteration is the end of its epoch."""
    ends: dict[int, int] = {}
    for record in records:
        if type(record.get("iter")) is int and type(record.get("epoch")) is int:
            epoch = record["epoch"]
            ends[epoch] = max(ends.get(epoch, 0), record["iter"])
    return max((end / epoch for epoch, end in ends.items() if epoch), default=1.0)
