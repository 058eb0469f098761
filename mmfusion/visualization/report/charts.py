"""Charts of the page: matplotlib's SVG, its colours left to the page's style sheet.

No text of a user's comes into a chart: names stand in the page beside it.
"""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.style import context
from matplotlib.ticker import MaxNLocator

from mmfusion.evaluation.calibration import Calibration

NUM_COLOURS = 6
# marks that become var(--ink) and its like: no other colour of a chart has them
_INK, _GRID = "#010101", "#020202"
_SERIES = [f"#0300{number:02x}" for number in range(1, NUM_COLOURS + 1)]
_VARIABLES = {_INK: "--ink", _GRID: "--grid"}
_VARIABLES |= {mark: f"--c{number}" for number, mark in enumerate(_SERIES, start=1)}
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mmfusion",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        points: (x, y) of each.
        colour: number of a model, from 0: colour and dashes.
    """

    points: Sequence[tuple[float, float]]
    colour: int = 0


def line_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    y_range: tuple[float, float] | None = None,
) -> Markup:
    """Lines over one axis, as SVG.

    Args:
        series: the lines.
        x_label: text under the axis.
        y_label: text beside the other.
        y_range: of the values; None fits it to them.
    """

    def draw(axes: Axes) -> None:
        for one in series:
            number = one.colour % NUM_COLOURS
            marker = "o" if len(one.points) < 20 else None
            style: dict = {"linestyle": _DASHES[number], "color": _SERIES[number]}
            axes.plot(*np.array(one.points).T, marker=marker, markersize=3.5, **style)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if y_range is not None:
            axes.set_ylim(*y_range)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    return _chart(draw, (4.4, 2.7))


def calibration_chart(found: Calibration, colour: int = 0) -> Markup:
    """Reliability diagram: accuracy with interval over confidence, as SVG.

    Args:
        found: of one model.
        colour: its number, from 0.
    """

    def draw(axes: Axes) -> None:
        filled = [one for one in found.bins if one.accuracy and one.num_clips]
        x = np.array([one.confidence for one in filled])
        mean, low, high = np.array([one.accuracy for one in filled]).T
        size = np.array([one.num_clips for one in filled])
        mark = _SERIES[colour % NUM_COLOURS]
        axes.plot([0, 100], [0, 100], color=_INK, linewidth=0.8, linestyle=":")
        # the mean of extreme counts may lie a rounding outside its interval
        ends = np.clip([mean - low, high - mean], 0, None)
        axes.errorbar(x, mean, yerr=ends, fmt="none", ecolor=mark, elinewidth=1)
        axes.scatter(x, mean, s=14 + 90 * size / size.sum(), color=mark, zorder=3)
        axes.set_xlim(0, 102)
        axes.set_ylim(-2, 102)
        axes.set_xlabel("confidence (%)")
        axes.set_ylabel("right (%)")

    return _chart(draw, (3.0, 2.7), "chart small")


def _chart(
    draw: Callable[[Axes], None], inches: tuple[float, float], kind: str = "chart"
) -> Markup:
    """An SVG element of the page, of that size at most."""
    with context({**_STYLE}):
        figure = Figure(figsize=inches, layout="constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        axes = figure.subplots()
        axes.patch.set_visible(False)
        axes.set_axisbelow(True)
        draw(axes)
        out = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(out, format="svg", metadata=nothing)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    # a style of its own would be the whole page's
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r" font-family: [^;]*;", "", text)
    # several charts of a page: ids only where they are referred to, by a digest
    text = re.sub(r' id="(?![mpC][0-9a-f_]{6,}")[^"]*"', "", text)
    for mark, variable in _VARIABLES.items():
        text = text.replace(mark, f"var({variable})")
    text = text.replace("<svg ", f'<svg class="{kind}" role="img" ', 1)
    return Markup(text)
