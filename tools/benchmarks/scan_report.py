"""The floor under a scan, and the tables of mmfusion/ops/README.md."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from measure import describe, markdown_table, median, ratio, write_section
from scan_figure import draw

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
    rates = results.get("floor")
    parts = [describe(results["machine"]), *_versions(results)]
    scans = sorted(
        (p for p in points if p["part"] == "scan" and p["batch"] == 1),
        key=lambda p: p["length"],
    )
    scans = [p for p in scans if _shape(p) == _shape(scans[0])]
    if scans:
        draw(scans, _floors(scans, rates), _place(results["machine"]), folder / FIGURE)
        parts.append(f"![Time of one scan against its length]({FIGURE})")
    parts += [
        *_scan_tables(points, rates),
        *_memory_tables(results["points"].values()),
        *_ratio_tables(points),
    ]
    write_section(folder / "README.md", SECTION, "\n\n".join(parts))


def _versions(results: Mapping[str, Any]) -> Iterable[str]:
    """A line of the rivals' packages."""
    found = results.get("versions")
    if found:
        yield "Rivals: " + ", ".join(f"{name} {x}" for name, x in found.items())


def _shape(point: Mapping[str, Any]) -> tuple[int, int]:
    return point["channels"], point["states"]


def _floors(
    scans: Iterable[Mapping[str, Any]], rates: Mapping[str, float] | None
) -> dict[str, list[tuple[int, float]]]:
    """By mode: tokens and least seconds."""
    floors: dict[str, list[tuple[int, float]]] = {}
    for p in scans:
        seconds = floor_seconds(p, rates)
        if seconds is not None:
            floors.setdefault(p["mode"], []).append((p["length"], seconds))
    return floors


def _place(machine: Mapping[str, Any]) -> str:
    """Processor, threads and date: what a figure's reader must know."""
    threads = machine["threads"]
    return f"{machine['cpu']}, {threads} thread{'s' * (threads > 1)}, {machine['date']}"


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
