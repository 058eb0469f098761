"""Curves of several runs in one picture, from what they logged."""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

from mmfusion.analysis.page_curves import curve_points
from mmfusion.analysis.trained_runs import read_scalars
from mmfusion.utils.errors import InputError

Points = list[tuple[float, float]]


def curves_of(folders: Sequence[Path], key: str) -> dict[str, Points]:
    """(epoch, value) of a key by the name of each run that logged it.

    What a run logged twice, as it was continued, counts once: the later value.

    Args:
        folders: of runs.
        key: of the log, such as ``loss`` or ``action/top1``.

    Raises:
        ValueError: a folder without a log, or a key that no run has.
    """
    found: dict[str, Points] = {}
    known: set[str] = set()
    for name, folder in zip(names_of(folders), folders, strict=True):
        records = read_scalars(folder)
        if not records:
            raise InputError(
                f"{folder} has no */vis_data/scalars.json with values; expected the"
                " work folder of a training"
            )
        known |= {key for one in records for key in one}
        points = curve_points(records, key)
        if points:
            found[name] = points
    if not found:
        raise InputError(f"no run logged {key!r}; there are {', '.join(sorted(known))}")
    return found


def names_of(folders: Sequence[Path]) -> list[str]:
    """Ends of the paths that tell the folders apart.

    Raises:
        ValueError: one folder twice.
    """
    places = [folder.resolve() for folder in folders]
    if len(set(places)) < len(places):
        raise InputError(f"a run is given twice: {[str(one) for one in folders]}")
    shared = len(Path(os.path.commonpath(places)).parts) if len(places) > 1 else 0
    if not shared:
        return [place.name for place in places]
    return ["/".join(place.parts[shared:]) or place.name for place in places]


def plot(curves: Mapping[str, Mapping[str, Points]]) -> bytes:
    """PNG: one diagram for each key under the other, one line a run, one legend.

    Args:
        curves: by key, then by run.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot

    runs = list(dict.fromkeys(name for found in curves.values() for name in found))
    # colours that colour-blind readers tell apart; more runs differ by their dashes
    colours = pyplot.get_cmap("tab10").colors  # type: ignore[attr-defined]
    styles = ("-", "--", ":", "-.")
    figure, grid = pyplot.subplots(
        len(curves),
        figsize=(9, 3.2 * len(curves) + 0.25 * len(runs)),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    lines = {}
    for axes, (key, found) in zip(grid[:, 0], curves.items(), strict=True):
        for name, points in found.items():
            number = runs.index(name)
            (lines[name],) = axes.plot(
                *zip(*points, strict=True),
                styles[number // len(colours) % len(styles)],
                color=colours[number % len(colours)],
                marker="o" if len(points) < 60 else None,
                markersize=3,
            )
        axes.set(ylabel=key)
        axes.grid(alpha=0.3)
    grid[-1, 0].set(xlabel="epoch")
    figure.legend(
        list(lines.values()), list(lines), loc="outside lower center", fontsize="small"
    )
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    pyplot.close(figure)
    return stream.getvalue()
