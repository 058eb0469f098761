"""The floor under a scan, and the figure and tables of mmfusion/ops/README.md."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from measure import describe, markdown_table, median, ratio, write_section

SECTION = "scan benchmark"
FIGURE = "benchmark.png"
# For each state element: one exp2 of a product a pass, and the multiply-adds beside it.
# Forward: delta u B, h, y. Backward: those again (recomputed), then eight for the
# gradients. By token and channel (softplus, gate, skip), shared by the n states: as
# much as 2 and 5.5 of them at n = 16.
_FORWARD = (1, 3 + 2)
_BOTH = (2, 3 + 2 + 3 + 8 + 3.5)


def floor_seconds(
    point: Mapping[str, Any], rates: Mapping[str, float] | None
) -> float | None:
    """Least time of one scan on this CPU: arithmetic, or bytes where those take longer.

    Bytes: u, delta and z are read and y is written, which reads its lines first.

    Args:
        point: a point of part ``scan``. rates: of ``floor.cpp``.
    """
    if rates is None or point["part"] != "scan" or point["device"] != "cpu":
        return None
    tokens = point["batch"] * point["length"] * point["channels"]
    elements = tokens * point["states"]
    exps, multiplies = _FORWARD if point["mode"] == "forward" else _BOTH
    arithmetic = elements * (
        exps / rates["exp2_glanes"] + multiplies / rates["fma_glanes"]
    )
    streams = 5 if point["mode"] == "forward" else 5 + 9
    bytes_moved = 4 * tokens * streams
    cached = bytes_moved < 50e6
    return 1e-9 * max(
        arithmetic, bytes_moved / rates["copy_10mb_gb" if cached else "copy_512mb_gb"]
    )


def write_report(results: Mapping[str, Any], folder: Path) -> None:
    """Draw ``benchmark.png`` and fill the section of the folder's README."""
    points = [p for p in results["points"].values() if p.get("device") == "cpu"]
    scans = sorted(
        (p for p in points if p["part"] == "scan" and p["batch"] == 1),
        key=lambda p: p["length"],
    )
    draw(scans, results.get("floor"), folder / FIGURE)
    parts = [
        describe(results["machine"]),
        f"![Time of one scan against its length]({FIGURE})",
        *_scan_tables(points, results.get("floor")),
        *_memory_tables(results["points"].values()),
        *_ratio_tables(points),
    ]
    write_section(folder / "README.md", SECTION, "\n\n".join(parts))


def draw(
    scans: list[Mapping[str, Any]], rates: Mapping[str, float] | None, path: Path
) -> None:
    """Time against length, log-log, forward beside forward + backward."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    modes = list(dict.fromkeys(p["mode"] for p in scans))
    with plt.rc_context({"font.size": 9}):
        figure, axes = plt.subplots(
            1, len(modes), figsize=(10, 3.9), sharey=True, squeeze=False
        )
        for axis, mode in zip(axes[0], modes, strict=True):
            chosen = [p for p in scans if p["mode"] == mode]
            names = dict.fromkeys(name for p in chosen for name in p["timed"])
            for name in names:
                line = [
                    (p["length"], median(p["timed"][name]) * 1e3)
                    for p in chosen
                    if name in p["timed"]
                ]
                axis.plot(
                    *zip(*line, strict=True), marker="o", ms=3, lw=1.2, label=name
                )
            if rates:
                floor = [(p["length"], floor_seconds(p, rates) * 1e3) for p in chosen]
                axis.plot(*zip(*floor, strict=True), "k--", lw=1, label="floor")
            axis.set(xscale="log", yscale="log", xlabel="tokens", title=mode)
            axis.grid(alpha=0.3)
        axes[0, 0].set_ylabel("ms")
        axes[0, -1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
        figure.tight_layout()
        figure.savefig(path, dpi=100)
        plt.close(figure)


def _scan_tables(
    points: list[Mapping[str, Any]], rates: Mapping[str, float] | None
) -> Iterable[str]:
    """A table a mode and batch: a row a length, a column a road."""
    scans = [p for p in points if p["part"] == "scan"]

    def kind(p: Mapping[str, Any]) -> tuple:
        return p["batch"], p["channels"], p["states"], p["mode"]

    for batch, channels, states, mode in dict.fromkeys(map(kind, scans)):
        rows = sorted(
            (p for p in scans if kind(p) == (batch, channels, states, mode)),
            key=lambda p: p["length"],
        )
        names = list(dict.fromkeys(name for p in rows for name in p["timed"]))
        yield (
            f"One scan, {mode}, batch {batch}, d = {channels}, n = {states}; ms"
            " (in brackets: times `cpu`, median of the pairs, of which there are"
            f" {max(len(t['seconds']) for p in rows for t in p['timed'].values())};"
            " a call that takes long is timed once):"
        )
        lines = []
        for p in rows:
            floor = floor_seconds(p, rates)
            cells = [str(p["length"]), _ms(floor)]
            for name in names:
                cells.append(_cell(p["timed"], name, "cpu"))
            lines.append(cells)
        yield markdown_table(["tokens", "floor", *names], lines)


def _cell(timed: Mapping[str, Any], name: str, first: str) -> str:
    if name not in timed:
        return "not run"
    text = _ms(median(timed[name]))
    if name == first or first not in timed:
        return text
    times = ratio(timed[name], timed[first])[0]
    return f"{text} ({times:.3g})"


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    milliseconds = seconds * 1e3
    return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"


def _memory_tables(points: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Peak beyond the inputs, a process a call."""
    peaks = [p for p in points if p["part"] == "memory" and p["peaks"]]
    for mode in dict.fromkeys(p["mode"] for p in peaks):
        rows = [p for p in peaks if p["mode"] == mode]
        names = list(dict.fromkeys(name for p in rows for name in p["peaks"]))
        lines = []
        for p in rows:
            size = next(iter(p["peaks"].values()))["inputs_and_outputs"]
            cells = [str(p["batch"]), str(p["length"]), f"{size / 1e6:.0f}"]
            for name in names:
                peak = p["peaks"].get(name)
                cells.append(
                    "not run" if peak is None else f"{peak['extra'] / 1e6:.0f}"
                )
            lines.append(cells)
        yield f"Peak memory beyond the inputs, {mode}, MB (results are part of it):"
        yield markdown_table(["batch", "tokens", "inputs + outputs", *names], lines)


def _ratio_tables(points: list[Mapping[str, Any]]) -> Iterable[str]:
    """Fused forms against what they replace: pairs of roads, the fused one first."""
    rows = []
    for p in points:
        if p["part"] in ("scan", "memory"):
            continue
        names = list(p["timed"])
        for fast, slow in _pairs(names):
            middle, low, high = ratio(p["timed"][slow], p["timed"][fast])
            rows.append(
                [
                    p["part"],
                    str(p["batch"]),
                    str(p["length"]),
                    p["mode"],
                    f"{fast}: {_ms(median(p['timed'][fast]))}",
                    f"{slow}: {_ms(median(p['timed'][slow]))}",
                    f"{middle:.2f} ({low:.2f} to {high:.2f})",
                ]
            )
    if rows:
        yield "Fused forms against what they replace, ms and the ratio pair by pair:"
        yield markdown_table(
            ["part", "batch", "tokens", "mode", "fused", "instead", "ratio"], rows
        )


def _pairs(names: list[str]) -> Iterable[tuple[str, str]]:
    """The one call and the others of each backend; else the first with each other."""
    if names[0].endswith("one call"):
        yield from zip(names[::2], names[1::2], strict=False)
        return
    for name in names[1:]:
        yield names[0], name
