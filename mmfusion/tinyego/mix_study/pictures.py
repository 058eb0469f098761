"""Pictures of the study: accuracy by number of clips, gains, and what alpha did."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from PIL import Image

from mmfusion.evaluation.functional import Interval

from .results import STATES, Results, ceiling

_COLOURS = {
    "naive": "#888888",
    "average": "#1f77b4",
    "weighted": "#2ca02c",
    "context": "#d62728",
    "gated": "#9467bd",
    "oracle": "#000000",
    "late": "#ff7f0e",
}
_STATE_COLOURS = {
    "sound": "#bbbbbb",
    "video_wrong": "#1f77b4",
    "hands_wrong": "#d62728",
}
_COLUMNS = 3
_DPI = 80
_SHADES = 64  # colours of a picture, which halve its bytes


def curves(
    results: Results,
    regimes: Sequence[str],
    mixes: Sequence[str],
    sizes: Sequence[int],
    task: str,
) -> bytes:
    """PNG: a panel for each regime, accuracy by clips in training, ceiling dashed."""
    figure, panels = _panels(regimes)
    for axes, regime in zip(panels, regimes, strict=False):
        for place, mix in enumerate(mixes):
            found = [results.accuracy(regime, mix, size, task) for size in sizes]
            _line(axes, mix, sizes, found, 1 + 0.02 * (place - len(mixes) / 2))
        axes.axhline(ceiling(regime, task), color="black", linestyle="--", linewidth=1)
        axes.set_title(f"{regime}: ceiling {ceiling(regime, task):.1f}", fontsize=9)
        _clips_axis(axes, sizes)
    return _finish(figure, panels, len(regimes), f"{task} top-1 (%), test clips")


def gains(
    results: Results,
    regimes: Sequence[str],
    mixes: Sequence[str],
    sizes: Sequence[int],
    task: str,
    over: str = "average",
) -> bytes:
    """PNG: a panel for each regime, mixes minus one of them, paired, in points."""
    figure, panels = _panels(regimes)
    for axes, regime in zip(panels, regimes, strict=False):
        for place, mix in enumerate(mixes):
            found = [results.difference(regime, (mix, over), s, task) for s in sizes]
            _line(axes, mix, sizes, found, 1 + 0.04 * (place - len(mixes) / 2))
        axes.axhline(0, color="black", linewidth=1)
        axes.set_title(regime, fontsize=9)
        _clips_axis(axes, sizes)
    return _finish(figure, panels, len(regimes), f"{task}: minus {over} (points)")


def alphas(
    results: Results, regimes: Sequence[str], mixes: Sequence[str], size: int
) -> bytes:
    """PNG: the video's weight, distributed over test clips, by what fails in them."""
    figure, panels = _panels(regimes)
    for axes, regime in zip(panels, regimes, strict=False):
        for place, mix in enumerate(mixes):
            for shift, state in enumerate(STATES):
                values = results.alphas(regime, mix, size).get(state)
                if values is not None:
                    _violin(axes, values, place + 0.26 * (shift - 1), state)
        names = [mix.replace("_", "\n") for mix in mixes]
        axes.set_xticks(range(len(mixes)), names, fontsize=7)
        axes.set_ylim(-0.02, 1.02)
        axes.set_title(regime, fontsize=9)
    for axes in panels[len(regimes) :]:
        axes.set_axis_off()
    handles = [
        matplotlib.patches.Patch(color=_STATE_COLOURS[state], label=state)
        for state in STATES
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    figure.supylabel(
        f"alpha, weight of the video; {size} clips in training", fontsize=9
    )
    return _png(figure)


def _panels(regimes: Sequence[str]) -> tuple[Any, Any]:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = -(-len(regimes) // _COLUMNS)
    figure, grid = pyplot.subplots(
        rows,
        min(_COLUMNS, len(regimes)),
        figsize=(3.1 * min(_COLUMNS, len(regimes)), 2.5 * rows + 0.5),
        squeeze=False,
        layout="constrained",
    )
    return figure, grid.ravel()


def _line(
    axes: Any,
    mix: str,
    sizes: Sequence[int],
    found: Sequence[Interval | None],
    at: float,
) -> None:
    """One line with bars; ``at`` moves it a little, so that bars do not hide bars."""
    known = [(size * at, one) for size, one in zip(sizes, found, strict=True) if one]
    if not known:
        return
    x = [place for place, _ in known]
    y = np.array([one.mean for _, one in known])
    bars = np.array([[one.mean - one.low, one.high - one.mean] for _, one in known])
    stem, direct = mix.split("_")[0], "_" in mix
    style = "--" if direct else ":" if mix in ("oracle", "late") else "-"
    axes.errorbar(
        x,
        y,
        np.maximum(bars.T, 0),
        label=mix,
        color=_COLOURS.get(stem),
        linestyle=style,
        linewidth=1.3,
        elinewidth=0.7,
        marker="o",
        markersize=2.5,
    )


def _clips_axis(axes: Any, sizes: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes], fontsize=7)
    axes.minorticks_off()
    axes.tick_params(axis="y", labelsize=7)
    axes.grid(alpha=0.3)


def _violin(axes: Any, values: np.ndarray, at: float, state: str) -> None:
    # one value for all has no density
    if np.ptp(values) < 1e-3:
        axes.plot([at - 0.1, at + 0.1], [values[0]] * 2, color=_STATE_COLOURS[state])
        return
    parts = axes.violinplot(
        values, [at], widths=0.24, showextrema=False, showmedians=True
    )
    parts["bodies"][0].set(facecolor=_STATE_COLOURS[state], alpha=0.7)
    parts["cmedians"].set(color="black", linewidth=1)


def _finish(figure: Any, panels: Any, count: int, label: str) -> bytes:
    for axes in panels[count:]:
        axes.set_axis_off()
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=len(names), fontsize=8
    )
    figure.supylabel(label, fontsize=9)
    for axes in panels[max(0, count - _COLUMNS) : count]:
        axes.set_xlabel("clips in training", fontsize=8)
    return _png(figure)


def _png(figure: Any) -> bytes:
    from matplotlib import pyplot

    stream, small = io.BytesIO(), io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI)
    pyplot.close(figure)
    image = Image.open(stream).convert("RGB").quantize(_SHADES)
    image.save(small, format="PNG", optimize=True)
    return small.getvalue()
