"""The figure of mmfusion/ops/README.md: time of one scan against its length."""

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from measure import median, ratio

# Colours of Okabe and Ito, which colour-blind readers tell apart: ours are the blues.
_ROADS = {
    "cpu": ("mmfusion, cpu", "#0072B2", "o"),
    "torch": ("mmfusion, torch", "#56B4E9", "o"),
    "ggml": ("ggml (llama.cpp)", "#D55E00", "s"),
    "loop": ("loop in PyTorch", "#009E73", "^"),
    "mamba-ssm's formula": ("mamba-ssm's formula", "#555555", "v"),
    "Hugging Face": ("Hugging Face", "#CC79A7", "D"),
    "mamba.py's pscan": ("mamba.py's pscan", "#E69F00", "P"),
}
_GAP = 0.058  # least distance of two labels, as a share of the axis
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))

Floors = Mapping[str, Sequence[tuple[int, float]]]


def draw(
    scans: Sequence[Mapping[str, Any]], floors: Floors, machine: str, path: Path
) -> None:
    """Draw a panel a mode, log-log; each line bears its name where it ends.

    Args:
        scans: points of one shape, by length. floors: by mode, tokens and seconds.
        machine: under the title. path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from PIL import Image

    modes = list(dict.fromkeys(p["mode"] for p in scans))
    with plt.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        figure, axes = plt.subplots(
            1, len(modes), figsize=(12, 5.2), sharey=True, squeeze=False
        )
        figure.subplots_adjust(left=0.06, right=0.81, top=0.8, bottom=0.155, wspace=0.6)
        for axis, mode in zip(axes[0], modes, strict=True):
            _panel(axis, [p for p in scans if p["mode"] == mode], floors.get(mode, ()))
            axis.set_title(mode, loc="left", weight="bold")
        for axis in axes[0]:  # once all lines are there, as they share the axis of time
            _name_lines(axis)
        _title(figure, scans[0], machine)
        stream = BytesIO()
        figure.savefig(stream, dpi=100)
        plt.close(figure)
    Image.open(stream).convert("RGB").quantize(128).save(path, optimize=True)


def _title(figure: Any, point: Mapping[str, Any], machine: str) -> None:
    figure.text(
        0.012,
        0.94,
        "Time of one selective scan by its number of tokens"
        f" (batch {point['batch']}, {point['channels']} channels,"
        f" {point['states']} states, float32)",
        size=13,
        weight="bold",
    )
    figure.text(
        0.012,
        0.89,
        f"{machine}. Lower is faster. Dashed: instructions up to AVX2."
        " Numbers: how many times as long as mmfusion, cpu, where the line ends.",
        color="#444444",
    )


def _panel(
    axis: Any,
    points: Sequence[Mapping[str, Any]],
    floor: Sequence[tuple[int, float]],
) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for name in dict.fromkeys(name for p in points for name in p["timed"]):
        chosen = [p for p in points if name in p["timed"]]
        family, _, isa = name.partition(", ")
        label, colour, marker = _ROADS.get(family, (name, "#555555", "x"))
        axis.plot(
            [p["length"] for p in chosen],
            [median(p["timed"][name]) for p in chosen],
            marker=marker,
            ms=4,
            lw=2.6 if family == "cpu" else 1.4,
            ls="--" if isa == "avx2" else "-",
            color=colour,
            zorder=3 if family == "cpu" else 2,
            label=_label(label, isa, chosen[-1]["timed"], name),
        )
    if floor:
        axis.plot(
            *zip(*floor, strict=True),
            ":",
            color="black",
            lw=1.2,
            label="floor of this CPU",
        )
    axis.set(xscale="log", yscale="log", xlabel="tokens")
    axis.set_xticks([p["length"] for p in points])
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0f}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(axis="x", which="minor", bottom=False)
    axis.tick_params(axis="x", labelrotation=45)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: duration(y)))
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _label(label: str, isa: str, timed: Mapping[str, Any], name: str) -> str:
    """Name of a line: its instruction set, and its time or its ratio to ``cpu``."""
    text = f"{label}, {isa.upper()}" if isa in ("avx2", "avx512") else label
    if name == "cpu":
        return f"{text}: {duration(median(timed[name]))}"
    if "cpu" not in timed:
        return text
    return f"{text}  {times(ratio(timed[name], timed['cpu'])[0])}"


def _name_lines(axis: Any) -> None:
    """Write each line's name where it ends, apart from its neighbours' names."""
    groups: dict[float, list[Any]] = {}
    for line in sorted(axis.lines, key=lambda line: line.get_ydata()[-1]):
        groups.setdefault(line.get_xdata()[-1], []).append(line)
    for x, lines in groups.items():
        shares = [_share(line.get_ydata()[-1], *axis.get_ylim()) for line in lines]
        for line, place in zip(lines, spread(shares, _GAP), strict=True):
            axis.annotate(
                line.get_label(),
                (x, line.get_ydata()[-1]),
                xytext=(_share(x, *axis.get_xlim()) + 0.05, place),
                textcoords="axes fraction",
                va="center",
                size=8.5,
                color=line.get_color(),
                weight="bold" if line.get_linewidth() > 2 else "normal",
                annotation_clip=False,
                bbox=dict(facecolor="white", edgecolor="none", alpha=0.8, pad=0.5),
                arrowprops=dict(
                    arrowstyle="-", color=line.get_color(), lw=0.6, relpos=(0, 0.5)
                ),
            )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Places at least ``gap`` apart, in their order, moved as little as that takes.

    Args:
        places: in rising order.
    """
    clusters: list[list[float]] = []  # of neighbours that touch: their places
    for place in places:
        clusters.append([place])
        while len(clusters) > 1 and _first(clusters[-1], gap) < gap + (
            _first(clusters[-2], gap) + gap * (len(clusters[-2]) - 1)
        ):
            clusters[-2:] = [clusters[-2] + clusters[-1]]
    return [_first(c, gap) + gap * i for c in clusters for i in range(len(c))]


def _first(cluster: Sequence[float], gap: float) -> float:
    """Place of a cluster's first member, if its middle is to stay."""
    return sum(cluster) / len(cluster) - gap * (len(cluster) - 1) / 2


def _share(value: float, low: float, high: float) -> float:
    """Place of a value on a logarithmic axis, 0 to 1."""
    return math.log(value / low) / math.log(high / low)


def times(value: float) -> str:
    """Three digits and the sign, ``1450×`` say."""
    digits = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}×"


def duration(seconds: float) -> str:
    """Three digits and a unit, ``1.25 ms`` say."""
    size, unit = next((x for x in _UNITS if seconds >= x[0] * 0.9995), _UNITS[-1])
    return f"{seconds / size:.3g} {unit}"
